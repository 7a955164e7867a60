//! What each of Floodgate's streams must be, so that it keeps what it acknowledged and takes what is
//! published.
//!
//! This is the only statement of it. Provisioning creates streams by [`Contract::config`]. Gateways, relays
//! and `floodgate doctor` judge existing streams by [`Contract::faults`].

mod fault;

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};
use floodgate_event::{Lane, ShardCount, ShardId, held, reject, subject};

pub use self::fault::{Fault, Harm};

/// The largest message in bytes: a whole block with its headers. A stream's `max_msg_size` and a server's
/// `max_payload` must allow it.
pub const MAX_MESSAGE_BYTES: usize = 8 * 1024 * 1024;

/// The largest message of refused requests: a block, and the headers of a copy.
const MAX_REJECTS_BYTES: i32 = reject::MAX_BLOCK_BYTES as i32 + 1024;

/// The duplicate window of a new lane. A gateway's publish timeout is at most half of it.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// What one stream must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    kind: Kind,
    name: String,
    subjects: String,
    /// The least duplicate window, where it is known.
    window: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Lane,
    Log,
    Journal,
    SetAside,
    Rejects,
    Held,
}

impl Contract {
    fn new(kind: Kind, name: impl Into<String>, subjects: impl Into<String>) -> Self {
        Self { kind, name: name.into(), subjects: subjects.into(), window: None }
    }

    /// The stream of a region that gateways publish a lane's blocks to.
    pub fn lane(lane: Lane) -> Self {
        Self::new(Kind::Lane, subject::regional_stream(lane), subject::regional_wildcard(lane))
    }

    /// The central log of a shard.
    pub fn log(shard: ShardId) -> Self {
        Self::new(Kind::Log, subject::log_stream(shard), subject::log_wildcard(shard))
    }

    /// The delivery journal of a shard.
    pub fn journal(shard: ShardId) -> Self {
        Self::new(Kind::Journal, subject::journal_stream(shard), subject::journal_wildcard(shard))
    }

    /// The central stream of messages that could not be decoded.
    pub fn set_aside() -> Self {
        Self::new(Kind::SetAside, subject::SET_ASIDE_STREAM, subject::SET_ASIDE_WILDCARD)
    }

    /// The stream of refused requests, in a region and in the centre. It is a record for people, whose oldest
    /// messages go first: nothing that got a 2xx is in it.
    pub fn rejects() -> Self {
        Self::new(Kind::Rejects, subject::REJECTS_STREAM, subject::REJECTS_WILDCARD)
    }

    /// The stream in a region of requests that are held because their signature failed. When it is full, or
    /// has enough of one sender, it refuses more.
    pub fn held() -> Self {
        Self::new(Kind::Held, subject::HELD_STREAM, subject::HELD_WILDCARD)
    }

    /// The streams of a region that hold events.
    pub fn regional() -> impl Iterator<Item = Self> {
        Lane::ALL.into_iter().map(Self::lane)
    }

    /// The streams of the centre that hold events and their deliveries.
    pub fn central(shards: ShardCount) -> impl Iterator<Item = Self> {
        shards.ids().flat_map(|shard| [Self::log(shard), Self::journal(shard)]).chain([Self::set_aside()])
    }

    /// The same contract, for a gateway that publishes a block again for as long as `timeout`: the stream
    /// must recognize the copies for twice as long.
    #[must_use]
    pub fn with_publish_timeout(self, timeout: Duration) -> Self {
        Self { window: Some(2 * timeout), ..self }
    }

    /// The name of the stream, such as `IN_BULK` or `EVENTS_0`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The configuration of a new stream. No event is deleted by age, and a full stream of events refuses:
    /// only the relay deletes messages, once it has confirmed them.
    pub fn config(&self) -> Config {
        Config {
            name: self.name.clone(),
            subjects: vec![self.subjects.clone()],
            storage: StorageType::File,
            discard: if self.kind == Kind::Rejects { DiscardPolicy::Old } else { DiscardPolicy::New },
            // Zero leaves it to the server.
            duplicate_window: match self.kind {
                Kind::Lane | Kind::Rejects => DUPLICATE_WINDOW,
                _ => Duration::ZERO,
            },
            max_message_size: match self.kind {
                // A copy has headers more.
                Kind::Rejects => MAX_REJECTS_BYTES,
                Kind::Held => held::MAX_MESSAGE_BYTES,
                Kind::Lane | Kind::Log | Kind::Journal | Kind::SetAside => 0,
            },
            allow_direct: true,
            allow_atomic_publish: self.takes_batches(),
            max_messages_per_subject: if self.kind == Kind::Held { held::MAX_OF_ADDRESS } else { 0 },
            discard_new_per_subject: self.kind == Kind::Held,
            ..Config::default()
        }
    }

    /// What is wrong with an existing stream, the worst first. Replicas and `max_bytes` are the operator's
    /// choice and never a fault.
    pub fn faults(&self, config: &Config) -> Vec<Fault> {
        fault::all(self, config)
    }

    /// Returns true if its writer appends in atomic batches.
    fn takes_batches(&self) -> bool {
        self.kind == Kind::Log
    }

    /// Returns true if single messages are read from it without asking the leader.
    fn is_read_directly(&self) -> bool {
        self.kind != Kind::Lane
    }
}

#[cfg(test)]
mod tests;
