//! Up to which time each feed is replicated, and since when a region is out of reach. The first decides which
//! days the ledger drops, and the books show the second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use floodgate_clock::Clock;

use crate::cursor::RegionLane;

/// The progress of all feeds. The readers write it. Clones share it.
#[derive(Clone)]
pub struct RegionProgress {
    clock: Clock,
    states: Arc<Mutex<HashMap<RegionLane, State>>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Everything that the region accepted before this Unix time (microseconds) is replicated.
    through_us: u64,
    /// Since when the region is out of reach, if it is.
    missed_since_us: Option<u64>,
}

impl RegionProgress {
    /// Begins without any progress, and with every region in reach.
    pub fn new(clock: Clock) -> Self {
        Self { clock, states: Arc::default() }
    }

    /// Records that the region answered.
    pub fn reached(&self, feed: &RegionLane) {
        self.states().entry(feed.clone()).or_default().missed_since_us = None;
    }

    /// Records that the region did not answer.
    pub fn missed(&self, feed: &RegionLane) {
        let now = self.clock.now_us();
        self.states().entry(feed.clone()).or_default().missed_since_us.get_or_insert(now);
    }

    /// Records that everything that the region accepted before `at_us` is replicated.
    pub fn replicated_through(&self, feed: &RegionLane, at_us: u64) {
        self.states().entry(feed.clone()).or_default().through_us = at_us;
    }

    /// The time up to which all of `feeds` are replicated, or 0 if it is not known of one of them.
    pub fn through_us(&self, feeds: &[RegionLane]) -> u64 {
        let states = self.states();
        feeds.iter().map(|feed| states.get(feed).map_or(0, |state| state.through_us)).min().unwrap_or(0)
    }

    /// The time since which the feed is out of reach, or `None` if it is in reach.
    pub fn missed_since_us(&self, feed: &RegionLane) -> Option<u64> {
        self.states().get(feed).and_then(|state| state.missed_since_us)
    }

    fn states(&self) -> MutexGuard<'_, HashMap<RegionLane, State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
