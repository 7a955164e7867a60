//! Reads stored events from a shard's central log.
//!
//! An event is found by its position: the sequence of its log block, and its place in that block. Decoded
//! blocks are cached. Nothing is written here, so nothing needs to survive a crash.

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

/// Memory for decoded blocks, in bytes.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// How many blocks the cache expects to hold. This only sizes its tables.
const CACHE_BLOCKS: usize = 4096;
/// What a decoded event takes beside its bytes, roughly.
const EVENT_OVERHEAD: u64 = 2048;
/// The wait before a server that did not answer is asked again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// The log of one shard, with a cache of decoded blocks.
pub(crate) struct CentralLog {
    context: Context,
    stream: String,
    cache: Cache<u64, Arc<StoredBlock>, ByBytes>,
    /// Limits the lines about blocks that cannot be read now.
    unreachable_lines: LogRate,
}

/// The events that a log block stores. Entries with another verdict, such as duplicates, leave gaps.
#[derive(Debug, Default)]
pub(crate) struct StoredBlock {
    events: Vec<Option<Arc<Event>>>,
    bytes: u64,
}

/// Why an event can never be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The log no longer holds the event's block.
    Block,
    /// The event's block cannot be decoded.
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

impl StoredBlock {
    /// Decodes the payload of a log message. Some blocks, such as fences, hold no events.
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

    /// Returns the stored events, each with its place in the block.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Arc<Event>)> {
        (0_u32..).zip(&self.events).filter_map(|(index, event)| Some((index, event.as_ref()?)))
    }

    fn get(&self, index: u32) -> Option<Arc<Event>> {
        self.events.get(usize::try_from(index).ok()?)?.clone()
    }
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<u64, Arc<StoredBlock>> for ByBytes {
    fn weight(&self, _: &u64, stored: &Arc<StoredBlock>) -> u64 {
        stored.bytes.max(1)
    }
}

impl CentralLog {
    pub(crate) fn new(context: Context, stream: String) -> Self {
        let cache = Cache::with_weighter(CACHE_BLOCKS, CACHE_BYTES, ByBytes);
        Self { context, stream, cache, unreachable_lines: LogRate::new() }
    }

    /// Caches a block whose events are about to be delivered.
    pub(crate) fn cache(&self, sequence: u64, stored: Arc<StoredBlock>) {
        self.cache.insert(sequence, stored);
    }

    /// Returns the event at a position. Waits for as long as the server cannot be reached.
    ///
    /// # Errors
    /// If no later read can find the event either.
    pub(crate) async fn event(&self, sequence: u64, index: u32) -> Result<Arc<Event>, Missing> {
        loop {
            match self.cache.get_or_insert_async(&sequence, self.read(sequence)).await {
                Ok(stored) => return stored.get(index).ok_or(Missing::Entry),
                Err(ReadError::Missing(missing)) => return Err(missing),
                Err(ReadError::Unreachable(error)) => {
                    if let Some(left_out) = self.unreachable_lines.admit() {
                        tracing::warn!(stream = self.stream, sequence, %error, left_out, "cannot read the log");
                    }
                }
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    async fn read(&self, sequence: u64) -> Result<Arc<StoredBlock>, ReadError> {
        let stream = self.context.get_stream_no_info(&self.stream).await?;
        let payload = match stream.direct_get(sequence).await {
            Ok(message) => message.payload,
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => {
                ask_leader(&stream, sequence).await?
            }
            Err(error) => return Err(error.into()),
        };
        match StoredBlock::decode(payload) {
            Ok(stored) => Ok(Arc::new(stored)),
            Err(error) => {
                tracing::error!(stream = self.stream, sequence, %error, "a log block cannot be decoded");
                Err(ReadError::Missing(Missing::Undecodable))
            }
        }
    }
}

/// Asks the stream's leader. Any replica may answer a direct get, even one that lags, so only the leader
/// knows that a message is gone.
async fn ask_leader(stream: &Stream<()>, sequence: u64) -> Result<Bytes, ReadError> {
    match stream.get_raw_message(sequence).await {
        Ok(message) => Ok(message.payload),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => {
            Err(gone(stream, sequence).await)
        }
        Err(error) => Err(error.into()),
    }
}

/// Decides what a missing message means. If the stream has later messages, it is gone for good. If the stream
/// ends before it, the log lost its latest part. That part may be restored, so no delivery is given up for
/// it.
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
