//! What the books say of deliveries: how many there are, where each stands, and how far each lane is routed.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::Lane;

/// Deliveries by where they stand. `matched = delivered + dead + discarded + pending`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// All there ever were.
    pub matched: u64,
    /// Taken by their consumer.
    pub delivered: u64,
    /// Given up after the last attempt.
    pub dead: u64,
    /// Given up because the destination was removed or disabled.
    pub discarded: u64,
    /// Still open, counted one by one.
    pub pending: u64,
}

/// The deliveries' side of the books, at a cut.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DeliveryBooks {
    /// Of all sources.
    #[serde(flatten)]
    pub all: Totals,
    /// By source.
    pub sources: BTreeMap<String, Totals>,
    /// How each lane's events were routed.
    #[serde(skip)]
    pub lanes: BTreeMap<Lane, LaneRouting>,
    /// The last journal sequence that is counted.
    pub cut: u64,
}

/// How one lane's stored events were routed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneRouting {
    /// The last log sequence that the lane is done with.
    pub cursor: u64,
    /// Up to and with this log sequence nothing is counted.
    pub uncounted_through: u64,
    /// Beyond it: events with at least one destination, and with none, by source.
    pub sources: BTreeMap<String, Routed>,
}

/// Events of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Routed {
    /// With at least one destination.
    pub routed: u64,
    /// With none.
    pub unmatched: u64,
}

impl Totals {
    /// The sum of both.
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
