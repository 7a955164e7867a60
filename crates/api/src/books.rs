//! The books: whether everything that came in is accounted for.

use std::collections::BTreeMap;

use floodgate_event::{Lane, ShardId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Both balances, in all and per source, with the cut they were taken at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Books {
    /// Whether both balances hold, and no region is out of reach.
    pub balanced: bool,
    /// What came in and what it was found to be.
    pub events: Events,
    /// What was to be delivered and what became of it.
    pub deliveries: Deliveries,
    /// Both balances, by source.
    pub sources: BTreeMap<String, SourceBooks>,
    /// Feeds that could not be asked. Of these, only what the log has is counted.
    pub unknown: Vec<Unknown>,
    /// The positions up to which everything was counted.
    #[serde(default)]
    #[schema(required = true)]
    pub cut: Cut,
}

/// `accepted = stored + duplicate + filtered + responded + quarantined + in_transit`, and
/// `stored = routed + unmatched + to_match`; `set_aside` is part of `quarantined`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = EventBooks)]
pub struct Events {
    /// Events in regional streams, purged ones included.
    pub accepted: u64,
    /// First copies of an event.
    pub stored: u64,
    /// Further copies of an event.
    pub duplicate: u64,
    /// Dropped by a handler.
    pub filtered: u64,
    /// Answered by a handler.
    pub responded: u64,
    /// Kept because a handler failed, or because the block cannot be decoded (`set_aside`).
    pub quarantined: u64,
    /// Of the quarantined: events in blocks that cannot be decoded.
    #[serde(default)]
    pub set_aside: u64,
    /// Not copied to the centre yet.
    pub in_transit: u64,
    /// `accepted` less all the others: 0 when the books balance, positive when something is missing.
    pub difference: i64,
    /// Of the stored: matched to at least one destination. A relay of an earlier release does not say so.
    #[serde(default)]
    #[schema(value_type = u64)]
    pub routed: Option<u64>,
    /// Of the stored: no destination subscribed to them.
    #[serde(default)]
    pub unmatched: u64,
    /// Of the stored: behind the journal's cursor in the log, so not matched to destinations yet.
    #[serde(default)]
    pub to_match: u64,
    /// `stored` less `routed`, `unmatched` and `to_match`.
    #[serde(default)]
    pub routing_difference: i64,
}

/// `matched = delivered + dead + discarded + pending`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = DeliveryBooks)]
pub struct Deliveries {
    /// Events times the destinations that subscribed to them.
    pub matched: u64,
    /// Taken by their consumer.
    pub delivered: u64,
    /// Given up after the last attempt.
    pub dead: u64,
    /// Closed without success: the destination was deleted or held more than `forward.max_held`, or an
    /// operator accepted the loss of a central stream.
    pub discarded: u64,
    /// Still open, counted one by one.
    pub pending: u64,
    /// `matched` less all the others.
    pub difference: i64,
}

/// Both balances of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SourceBooks {
    /// What came in and what it was found to be.
    pub events: Events,
    /// What was to be delivered and what became of it.
    pub deliveries: Deliveries,
}

/// A feed that could not be asked: a lane of a region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Unknown {
    /// The region that holds the feed.
    pub region: String,
    /// The lane of the feed.
    pub lane: Lane,
    /// Since when, as Unix time in microseconds; null if it was reached a moment ago.
    #[serde(default)]
    pub since_us: Option<u64>,
}

/// Positions in the streams.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cut {
    /// In each shard's central log.
    #[serde(default)]
    pub log: Vec<LogCut>,
    /// In each shard's journal.
    #[serde(default)]
    pub journal: Vec<LogCut>,
    /// How far the journal has each lane of the log.
    #[serde(default)]
    pub lanes: Vec<LaneCut>,
    /// In each regional stream.
    pub feeds: Vec<FeedCut>,
}

/// A position in a central stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogCut {
    /// The shard that the stream is of.
    #[schema(value_type = u32)]
    pub shard: ShardId,
    /// The last message counted.
    pub sequence: u64,
}

/// How far a lane of a shard's log is routed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LaneCut {
    /// The shard that the stream is of.
    #[schema(value_type = u32)]
    pub shard: ShardId,
    /// The lane that is routed or copied.
    pub lane: Lane,
    /// The last message of the log that the journal has.
    pub routed: u64,
    /// Events stored behind it.
    pub to_match: u64,
}

/// A position in a regional stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FeedCut {
    /// The shard that the stream is of.
    #[schema(value_type = u32)]
    pub shard: ShardId,
    /// The region that holds the stream.
    pub region: String,
    /// The lane that is routed or copied.
    pub lane: Lane,
    /// The stream's incarnation: tells it from one of the same name before it.
    #[serde(default)]
    pub incarnation: String,
    /// The last message that is in the log.
    pub replicated: u64,
    /// The shard's last message, or else the last that is in the log.
    pub last: u64,
}
