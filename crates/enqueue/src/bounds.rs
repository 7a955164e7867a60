//! The bounds of the queues and of their blocks.

use std::time::Duration;

/// The bounds of the queue of a lane and shard, and of its blocks.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The most events that wait.
    pub waiting: usize,
    /// The most events of a block. The children of a split stay together, however many there are.
    pub events: usize,
    /// The most bytes of a block. A larger event is published alone.
    pub bytes: usize,
    /// The most blocks in flight.
    pub in_flight: usize,
    /// How long a publish ack may take, retries included.
    pub timeout: Duration,
}
