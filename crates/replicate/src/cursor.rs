//! How far the log has copied each lane of each region.

use floodgate_event::Lane;

/// One lane of one region: a regional stream, which the books call a feed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegionLane {
    /// The name of the region.
    pub region: String,
    /// The lane, which is one stream of the region.
    pub lane: Lane,
}

/// The last message of a regional stream that is in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The incarnation of the stream. A stream that was lost and created again is another incarnation. Empty
    /// before the first message.
    pub incarnation: String,
    /// The sequence of the message in the regional stream; 0 before the first.
    pub sequence: u64,
}
