//! The central log as forwarding reads it: stored events by position, the latest and most wanted in memory.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::GetStreamError;
use async_nats::jetstream::stream::{
    DirectGetError, DirectGetErrorKind, RawMessageError, RawMessageErrorKind, Stream,
};
use bytes::Bytes;
use floodgate_event::LogRate;
use floodgate_event::format::{self, DecodeError};
use floodgate_event::proto::{Event, LogBlock, log_block, verdict};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// Memory for decoded blocks.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// Blocks that are expected to fit; only sizes tables.
const CACHE_BLOCKS: usize = 4096;
/// What an event takes beside its bytes, roughly.
const EVENT_OVERHEAD: u64 = 2048;
/// Wait before a server that did not answer is asked again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// One shard's log.
pub(crate) struct Log {
    context: Context,
    stream: String,
    cache: Cache<u64, Arc<Stored>, ByBytes>,
    /// Of the lines about what cannot be read now.
    unreachable: LogRate,
}

/// The events that a log block stored; gaps where it stored none.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    events: Vec<Option<Arc<Event>>>,
    bytes: u64,
}

/// Why an event cannot be had, ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The log does not hold its block any more.
    Block,
    /// The block cannot be decoded.
    Undecodable,
    /// The block holds no stored event at that place.
    Entry,
}

impl Missing {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Block => "the event is not in the central log any more",
            Self::Undecodable => "the event's block in the central log cannot be decoded",
            Self::Entry => "the central log stores no event at this position",
        }
    }
}

impl Stored {
    /// Reads the payload of a log message. Blocks that hold no events, as fences do, have none.
    pub(crate) fn decode(payload: Bytes) -> Result<Self, DecodeError> {
        let bytes = payload.len() as u64;
        let block: LogBlock = format::decode(payload)?;
        let entries = match block.content {
            Some(log_block::Content::Replica(replica)) => replica.entries,
            _ => Vec::new(),
        };
        let is_stored = |entry: &floodgate_event::proto::Entry| {
            entry.verdict.as_ref().is_some_and(|verdict| verdict.kind() == verdict::Kind::Stored)
        };
        let events: Vec<_> = entries
            .into_iter()
            .map(|entry| if is_stored(&entry) { entry.event.map(Arc::new) } else { None })
            .collect();
        let bytes = bytes + EVENT_OVERHEAD * events.len() as u64;
        Ok(Self { events, bytes })
    }

    /// The stored events, each with its place in the block.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Arc<Event>)> {
        (0_u32..).zip(&self.events).filter_map(|(index, event)| Some((index, event.as_ref()?)))
    }

    fn get(&self, index: u32) -> Option<Arc<Event>> {
        self.events.get(usize::try_from(index).ok()?)?.clone()
    }
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<u64, Arc<Stored>> for ByBytes {
    fn weight(&self, _: &u64, stored: &Arc<Stored>) -> u64 {
        stored.bytes.max(1)
    }
}

impl Log {
    pub(crate) fn new(context: Context, stream: String) -> Self {
        let cache = Cache::with_weighter(CACHE_BLOCKS, CACHE_BYTES, ByBytes);
        Self { context, stream, cache, unreachable: LogRate::new() }
    }

    /// Keeps a block in memory that is wanted soon.
    pub(crate) fn keep(&self, sequence: u64, stored: Arc<Stored>) {
        self.cache.insert(sequence, stored);
    }

    /// The event at a position; waits for as long as the server is out of reach.
    pub(crate) async fn event(&self, sequence: u64, index: u32) -> Result<Arc<Event>, Missing> {
        loop {
            match self.cache.get_or_insert_async(&sequence, self.read(sequence)).await {
                Ok(stored) => return stored.get(index).ok_or(Missing::Entry),
                Err(ReadError::Missing(missing)) => return Err(missing),
                Err(ReadError::Unreachable(error)) => {
                    if let Some(left_out) = self.unreachable.admit() {
                        tracing::warn!(stream = self.stream, sequence, %error, left_out, "cannot read the log");
                    }
                }
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    async fn read(&self, sequence: u64) -> Result<Arc<Stored>, ReadError> {
        let stream = self.context.get_stream_no_info(&self.stream).await?;
        let payload = match stream.direct_get(sequence).await {
            Ok(message) => message.payload,
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => {
                ask_leader(&stream, sequence).await?
            }
            Err(error) => return Err(error.into()),
        };
        match Stored::decode(payload) {
            Ok(stored) => Ok(Arc::new(stored)),
            Err(error) => {
                tracing::error!(stream = self.stream, sequence, %error, "a log block cannot be decoded");
                Err(ReadError::Missing(Missing::Undecodable))
            }
        }
    }
}

/// Any replica may answer a direct get, also one that lags: only the leader knows that a message is gone.
async fn ask_leader(stream: &Stream<()>, sequence: u64) -> Result<Bytes, ReadError> {
    match stream.get_raw_message(sequence).await {
        Ok(message) => Ok(message.payload),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => {
            Err(gone(stream, sequence).await)
        }
        Err(error) => Err(error.into()),
    }
}

/// A message that the stream's end is past is gone for good. One beyond the end was lost with the log's
/// latest part, which may be put back: nothing is given up for that.
async fn gone(stream: &Stream<()>, sequence: u64) -> ReadError {
    match stream.get_info().await {
        Ok(info) if info.state.last_sequence >= sequence => ReadError::Missing(Missing::Block),
        Ok(_) => ReadError::Unreachable("the log ends before it".into()),
        Err(error) => ReadError::Unreachable(error.into()),
    }
}

enum ReadError {
    Missing(Missing),
    Unreachable(async_nats::Error),
}

impl From<GetStreamError> for ReadError {
    fn from(error: GetStreamError) -> Self {
        Self::Unreachable(error.into())
    }
}

impl From<DirectGetError> for ReadError {
    fn from(error: DirectGetError) -> Self {
        Self::Unreachable(error.into())
    }
}

impl From<RawMessageError> for ReadError {
    fn from(error: RawMessageError) -> Self {
        Self::Unreachable(error.into())
    }
}
