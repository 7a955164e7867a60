//! The values that the index stores. A release may change them if it also changes `FORMAT` in `storage.rs`:
//! the index is then rebuilt from the journal.

use floodgate_event::Name;

use super::key::QueuePosition;

/// The state of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(super) enum Phase {
    Pending = 0,
    Delivered = 1,
    Dead = 2,
    Discarded = 3,
}

/// What is stored for each delivery.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct DeliveryRow {
    #[prost(enumeration = "Phase", tag = "1")]
    pub(super) phase: i32,
    #[prost(string, tag = "2")]
    pub(super) source: String,
    /// The number of attempts that are recorded so far.
    #[prost(uint32, tag = "3")]
    pub(super) attempts: u32,
    /// When the next attempt is due, as Unix time in microseconds; 0 if there was no attempt yet, or none
    /// follows.
    #[prost(uint64, tag = "4")]
    pub(super) due_us: u64,
    #[prost(uint64, tag = "5")]
    pub(super) journal_sequence: u64,
    #[prost(uint32, tag = "6")]
    pub(super) ordinal: u32,
    /// Why the delivery was discarded; empty if it was not.
    #[prost(string, tag = "7")]
    pub(super) reason: String,
    /// The revision of the configuration that the delivery was matched by.
    #[prost(uint64, tag = "8")]
    pub(super) matched_by: u64,
}

impl DeliveryRow {
    pub(super) fn is_pending(&self) -> bool {
        self.phase() == Phase::Pending
    }

    /// Returns the delivery's key in the queue while it is open.
    pub(super) fn queue_key(&self, destination: &Name) -> Option<Vec<u8>> {
        let Self { due_us, journal_sequence, ordinal, .. } = *self;
        self.is_pending().then(|| QueuePosition { due_us, journal_sequence, ordinal }.encode(destination))
    }
}

/// What the queue stores for each open delivery.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct QueueRow {
    /// The key of the delivery, as in the table of deliveries.
    #[prost(bytes = "vec", tag = "1")]
    pub(super) delivery: Vec<u8>,
    #[prost(string, tag = "2")]
    pub(super) source: String,
    #[prost(uint32, tag = "3")]
    pub(super) attempts: u32,
    /// The same as in [`DeliveryRow`].
    #[prost(uint64, tag = "4")]
    pub(super) matched_by: u64,
}

/// How many deliveries of one source were matched, and how many ended in which state.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SourceTally {
    #[prost(uint64, tag = "1")]
    pub(super) matched: u64,
    #[prost(uint64, tag = "2")]
    pub(super) delivered: u64,
    #[prost(uint64, tag = "3")]
    pub(super) dead: u64,
    #[prost(uint64, tag = "4")]
    pub(super) discarded: u64,
}

/// How many stored events of one source a lane routed.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RoutedRow {
    /// Events with at least one destination.
    #[prost(uint64, tag = "1")]
    pub(super) routed: u64,
    /// Events without a destination.
    #[prost(uint64, tag = "2")]
    pub(super) unmatched: u64,
}
