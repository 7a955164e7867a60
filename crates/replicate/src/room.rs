//! The room for decoded events between the readers of the regions and the log.
//!
//! A decoded event takes several times the memory of its encoded form, and a block may have up to 10,000. So
//! what is under way is bounded by the number of events, and not only by that of blocks and bytes.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most events that wait for the writer or are being appended: as many as fill its appends in flight with
/// blocks of 64 events.
const MAX_EVENTS: u32 = 16 * 1_024;

/// The room of one shard. Clones share it.
#[derive(Clone, Debug)]
pub struct Room(Arc<Semaphore>);

/// The place of a block, which is free again once this is dropped.
#[derive(Debug)]
pub struct Place {
    _permits: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// Makes an empty room.
    #[allow(clippy::new_without_default, reason = "a room is shared, and a default one is not")]
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_EVENTS as usize)))
    }

    /// Waits for the place of a block of so many events. A block that is larger than the room waits until it
    /// is empty.
    pub async fn place(&self, events: usize) -> Place {
        let events = u32::try_from(events).unwrap_or(u32::MAX).clamp(1, MAX_EVENTS);
        // The semaphore is never closed.
        Place { _permits: Arc::clone(&self.0).acquire_many_owned(events).await.ok() }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_block_waits_for_room_and_the_largest_for_all_of_it() {
        let room = Room::new();
        let first = room.place(10_000).await;
        assert!(room.place(10_000).now_or_never().is_none());
        assert!(room.place(1_000_000).now_or_never().is_none());
        drop(first);
        let largest = room.place(1_000_000).now_or_never();
        assert!(largest.is_some() && room.place(1).now_or_never().is_none());
    }
}
