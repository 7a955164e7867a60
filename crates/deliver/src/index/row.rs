//! Values of the index. They are this process's own and may change: the index is rebuilt from the journal.

use floodgate_event::Name;

use super::key::QueuePlace;

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(super) enum Phase {
    Pending = 0,
    Delivered = 1,
    Dead = 2,
    Discarded = 3,
}

/// A delivery.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Row {
    #[prost(enumeration = "Phase", tag = "1")]
    pub(super) phase: i32,
    #[prost(string, tag = "2")]
    pub(super) source: String,
    /// Attempts recorded so far.
    #[prost(uint32, tag = "3")]
    pub(super) attempts: u32,
    #[prost(uint64, tag = "4")]
    pub(super) due_us: u64,
    #[prost(uint64, tag = "5")]
    pub(super) journal_sequence: u64,
    #[prost(uint32, tag = "6")]
    pub(super) ordinal: u32,
    /// Why it was discarded.
    #[prost(string, tag = "7")]
    pub(super) reason: String,
    /// The configuration's revision that it was matched by.
    #[prost(uint64, tag = "8")]
    pub(super) matched_by: u64,
}

impl Row {
    pub(super) fn is_pending(&self) -> bool {
        self.phase() == Phase::Pending
    }

    /// Its key in the queue while it is open.
    pub(super) fn queue_key(&self, destination: &Name) -> Option<Vec<u8>> {
        let Self { due_us, journal_sequence, ordinal, .. } = *self;
        self.is_pending().then(|| QueuePlace { due_us, journal_sequence, ordinal }.encode(destination))
    }
}

/// What stands in the queue under a due time.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct QueueRow {
    /// The delivery's key.
    #[prost(bytes = "vec", tag = "1")]
    pub(super) delivery: Vec<u8>,
    #[prost(string, tag = "2")]
    pub(super) source: String,
    #[prost(uint32, tag = "3")]
    pub(super) attempts: u32,
    /// As in [`Row`].
    #[prost(uint64, tag = "4")]
    pub(super) matched_by: u64,
}

/// Deliveries of one source, by where they ended.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Tally {
    #[prost(uint64, tag = "1")]
    pub(super) matched: u64,
    #[prost(uint64, tag = "2")]
    pub(super) delivered: u64,
    #[prost(uint64, tag = "3")]
    pub(super) dead: u64,
    #[prost(uint64, tag = "4")]
    pub(super) discarded: u64,
}

/// Stored events of one source in one lane.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RoutedRow {
    /// With at least one destination.
    #[prost(uint64, tag = "1")]
    pub(super) routed: u64,
    /// With none.
    #[prost(uint64, tag = "2")]
    pub(super) unmatched: u64,
}
