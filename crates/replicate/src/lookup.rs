//! Finding an event in the central log by its id, and what is quarantined.

mod provider;
mod quarantined;

use std::sync::Arc;

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use floodgate_event::format::{self, DecodeError};
use floodgate_event::proto::log_block::Content;
use floodgate_event::proto::verdict::Kind;
use floodgate_event::proto::{Event, LogBlock, Origin, Replica, Verdict};
use floodgate_event::{EventId, subject};

use crate::books::ShardBooks;
use crate::dedup::ledger::LedgerError;
use crate::dedup::value::Position;

pub use provider::MAX_LOOKS;
pub use quarantined::{NotTaken, Selection};

/// An event as the log has it.
#[derive(Debug)]
pub struct FoundEvent {
    /// Its shard.
    pub shard: u32,
    /// Where it stands there.
    pub position: Position,
    /// What it was found to be.
    pub verdict: Verdict,
    /// The event itself.
    pub event: Event,
    /// The regional message it came in.
    pub origin: Option<Origin>,
    /// When it was appended; Unix time in microseconds.
    pub appended_at_us: u64,
    /// What a handler made of it, if one split it.
    pub children: Vec<Event>,
}

impl FoundEvent {
    /// What became of it, in a word.
    pub fn status(&self) -> &'static str {
        match self.verdict.kind() {
            Kind::Stored => "stored",
            Kind::Duplicate => "duplicate",
            Kind::Filtered => "filtered",
            Kind::Responded => "responded",
            Kind::Quarantined => "quarantined",
            Kind::Unspecified => "unknown",
        }
    }
}

/// A log message that holds events.
#[derive(Debug)]
pub struct Logged {
    /// The events.
    pub replica: Replica,
    /// When it was appended; Unix time in microseconds.
    pub appended_at_us: u64,
}

impl Logged {
    /// The event at a position of this message.
    fn take(self, shard: u32, position: Position) -> Option<FoundEvent> {
        let Self { replica, appended_at_us } = self;
        let index = usize::try_from(position.index).ok()?;
        // Children stand behind their parent.
        let mut entries = replica.entries.into_iter().skip(index);
        let entry = entries.next()?;
        let (verdict, event) = (entry.verdict?, entry.event?);
        let is_child = |child: &Event| child.parent.as_ref().is_some_and(|parent| parent.id == event.id);
        let children = entries.filter_map(|entry| entry.event).filter(is_child).collect();
        Some(FoundEvent { shard, position, verdict, event, origin: replica.origin, appended_at_us, children })
    }
}

/// Looks events up.
#[derive(Clone)]
pub struct EventLookup {
    context: Context,
    shards: Arc<[ShardBooks]>,
}

impl EventLookup {
    /// Looks in these shards.
    pub fn new(context: Context, shards: Arc<[ShardBooks]>) -> Self {
        Self { context, shards }
    }

    /// The shard's parts, for its deliveries.
    pub fn shard(&self, shard: u32) -> Option<&ShardBooks> {
        self.shards.iter().find(|books| books.shard == shard)
    }

    /// All shards' parts.
    pub fn shards(&self) -> &[ShardBooks] {
        &self.shards
    }

    /// Finds an event: the stored copy, or else the last one seen.
    /// Knows of events as long as the ledger does.
    ///
    /// # Errors
    /// If the ledger or the log cannot be read.
    pub async fn find(&self, id: EventId) -> Result<Option<FoundEvent>, LookupError> {
        for shard in self.shards.iter() {
            // An ordering key may have put it into any of them.
            if let Some(known) = tokio::task::block_in_place(|| shard.ledger.find(id))? {
                return self.read(shard.shard, known.position).await;
            }
        }
        Ok(None)
    }

    /// The log message at `sequence`; none if it is gone or holds no events.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub async fn replica(&self, shard: u32, sequence: u64) -> Result<Option<Logged>, LookupError> {
        let stream = log(&self.context, shard).await?;
        let message = match stream.get_raw_message(sequence).await {
            Ok(message) => message,
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Ok(None),
            Err(error) => return Err(LookupError::Log(error.into())),
        };
        let LogBlock { content, appended_at_us, .. } = format::decode(message.payload)?;
        let Some(Content::Replica(replica)) = content else { return Ok(None) };
        Ok(Some(Logged { replica, appended_at_us }))
    }

    async fn read(&self, shard: u32, position: Position) -> Result<Option<FoundEvent>, LookupError> {
        let logged = self.replica(shard, position.sequence).await?;
        Ok(logged.and_then(|logged| logged.take(shard, position)))
    }
}

async fn log(context: &Context, shard: u32) -> Result<Stream<()>, LookupError> {
    let stream = context.get_stream_no_info(subject::log_stream(shard)).await;
    stream.map_err(|error| LookupError::Log(error.into()))
}

/// Why an event could not be looked up.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The ledger's disk.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The log cannot be read now.
    #[error("the central log cannot be read: {0}")]
    Log(#[source] async_nats::Error),
    /// The log holds something else there.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}
