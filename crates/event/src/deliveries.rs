//! The books of deliveries: how many there are in each state, and how far each lane is routed.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::Lane;

/// Counts of deliveries by state. `matched = delivered + dead + discarded + pending`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// All deliveries that were ever created by matching an event with a destination.
    pub matched: u64,
    /// Deliveries that the consumer accepted with a 2xx.
    pub delivered: u64,
    /// Deliveries whose last attempt failed.
    pub dead: u64,
    /// Deliveries closed without success: the destination was deleted or held more than `forward.max_held`,
    /// or an operator accepted the loss of a central stream.
    pub discarded: u64,
    /// Deliveries that are still open. They are counted one by one, not by subtraction.
    pub pending: u64,
}

/// The books of deliveries, up to one sequence of the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DeliveryBooks {
    /// The counts of all sources together.
    #[serde(flatten)]
    pub all: Totals,
    /// The counts of each source, by its name.
    pub sources: BTreeMap<String, Totals>,
    /// How each lane's events were routed.
    #[serde(skip)]
    pub lanes: BTreeMap<Lane, LaneRouting>,
    /// The last sequence of the journal that is counted.
    pub cut: u64,
}

/// How one lane's stored events were routed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneRouting {
    /// The last sequence of the log that the lane has matched with its destinations.
    pub cursor: u64,
    /// Counting begins after this sequence of the log.
    pub uncounted_through: u64,
    /// The events counted after that, by source.
    pub sources: BTreeMap<String, Routed>,
}

/// How many events of one source had a destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Routed {
    /// Events that matched at least one destination.
    pub routed: u64,
    /// Events that matched no destination.
    pub unmatched: u64,
}

impl Totals {
    /// Adds the counts of another source or lane.
    #[must_use]
    pub fn plus(self, other: &Self) -> Self {
        Self {
            matched: self.matched + other.matched,
            delivered: self.delivered + other.delivered,
            dead: self.dead + other.dead,
            discarded: self.discarded + other.discarded,
            pending: self.pending + other.pending,
        }
    }
}
