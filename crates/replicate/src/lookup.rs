//! Finds events in the central log by their id, and lists the quarantined ones.

mod provider;
mod quarantined;

use std::sync::Arc;

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use floodgate_event::format::{self, DecodeError};
use floodgate_event::proto::log_block::Content;
use floodgate_event::proto::verdict::Kind;
use floodgate_event::proto::{Event, LogBlock, Origin, Replica, Verdict};
use floodgate_event::{EventId, ShardId, subject};

use crate::books::ShardBooks;
use crate::dedup::ledger::LedgerError;
use crate::dedup::value::Position;

pub use provider::MAX_LOOKS;
pub use quarantined::{NotTaken, Selection};

/// An event as the log has it.
#[derive(Debug)]
pub struct FoundEvent {
    /// The shard whose log it is in.
    pub shard: ShardId,
    /// Its position in that log.
    pub position: Position,
    /// What the relay decided about it: stored, a duplicate, and so on.
    pub verdict: Verdict,
    /// The event as the gateway wrote it, with what handlers made of it.
    pub event: Event,
    /// The regional message that it came in.
    pub origin: Option<Origin>,
    /// When it was appended to the log, as Unix time in microseconds.
    pub appended_at_us: u64,
    /// The events that a handler split it into.
    pub children: Vec<Event>,
}

impl FoundEvent {
    /// The API's name for what became of it.
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
    /// The events with their verdicts, and the regional message that they came in.
    pub replica: Replica,
    /// When it was appended to the log, as Unix time in microseconds.
    pub appended_at_us: u64,
}

impl Logged {
    /// Takes the event at a position out of this message.
    fn take(self, shard: ShardId, position: Position) -> Option<FoundEvent> {
        let Self { replica, appended_at_us } = self;
        let index = usize::try_from(position.index).ok()?;
        // A split's children follow their parent.
        let mut entries = replica.entries.into_iter().skip(index);
        let entry = entries.next()?;
        let (verdict, event) = (entry.verdict?, entry.event?);
        let is_child = |child: &Event| child.parent.as_ref().is_some_and(|parent| parent.id == event.id);
        let children = entries.filter_map(|entry| entry.event).filter(is_child).collect();
        Some(FoundEvent { shard, position, verdict, event, origin: replica.origin, appended_at_us, children })
    }
}

/// Finds events in the logs of all shards. Cheap to clone.
#[derive(Clone)]
pub struct EventLookup {
    context: Context,
    shards: Arc<[ShardBooks]>,
}

impl EventLookup {
    /// Makes a lookup in the logs of these shards, in the centre's JetStream.
    pub fn new(context: Context, shards: Arc<[ShardBooks]>) -> Self {
        Self { context, shards }
    }

    /// The ledger and deliveries of a shard. `None` if the deployment has no such shard.
    pub fn shard(&self, shard: ShardId) -> Option<&ShardBooks> {
        self.shards.iter().find(|books| books.shard == shard)
    }

    /// The ledgers and deliveries of all shards, in the order of their numbers.
    pub fn shards(&self) -> &[ShardBooks] {
        &self.shards
    }

    /// Finds an event: the stored copy, or else the last one seen. Events are found for as long as the ledger
    /// keeps their ids.
    ///
    /// # Errors
    /// If the ledger or the log cannot be read.
    pub async fn find(&self, id: EventId) -> Result<Option<FoundEvent>, LookupError> {
        for shard in self.shards.iter() {
            // The shard may depend on an ordering key, which is not known here, so all of them are searched.
            if let Some(known) = tokio::task::block_in_place(|| shard.ledger.find(id))? {
                return self.read(shard.shard, known.position).await;
            }
        }
        Ok(None)
    }

    /// Reads the log message at `sequence`. None if it is gone or holds no events.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub async fn replica(&self, shard: ShardId, sequence: u64) -> Result<Option<Logged>, LookupError> {
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

    async fn read(&self, shard: ShardId, position: Position) -> Result<Option<FoundEvent>, LookupError> {
        let logged = self.replica(shard, position.sequence).await?;
        Ok(logged.and_then(|logged| logged.take(shard, position)))
    }
}

async fn log(context: &Context, shard: ShardId) -> Result<Stream<()>, LookupError> {
    let stream = context.get_stream_no_info(subject::log_stream(shard)).await;
    stream.map_err(|error| LookupError::Log(error.into()))
}

/// Why an event could not be looked up.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The log cannot be read now.
    #[error("the central log cannot be read: {0}")]
    Log(#[source] async_nats::Error),
    /// The log holds something other than a block there.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}
