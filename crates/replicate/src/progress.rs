//! How far each feed is replicated in time, and since when a region is out of reach.
//! What the ledger's days and the books wait for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use floodgate_clock::Clock;

use crate::dedup::ledger::Feed;

/// Shared by the feeds that write it and whoever asks.
#[derive(Clone)]
pub struct Progress {
    clock: Clock,
    states: Arc<Mutex<HashMap<Feed, State>>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Everything that the region accepted before this Unix time (microseconds) is replicated.
    through_us: u64,
    /// Since when the region is out of reach, if it is.
    missed_since_us: Option<u64>,
}

impl Progress {
    /// Of no feed yet.
    pub fn new(clock: Clock) -> Self {
        Self { clock, states: Arc::default() }
    }

    /// The region answered.
    pub fn reached(&self, feed: &Feed) {
        self.states().entry(feed.clone()).or_default().missed_since_us = None;
    }

    /// The region did not answer.
    pub fn missed(&self, feed: &Feed) {
        let now = self.clock.now_us();
        self.states().entry(feed.clone()).or_default().missed_since_us.get_or_insert(now);
    }

    /// All that the region accepted before `at_us` is replicated.
    pub fn replicated_through(&self, feed: &Feed, at_us: u64) {
        self.states().entry(feed.clone()).or_default().through_us = at_us;
    }

    /// Up to when every one of `feeds` is replicated; 0 while that is unknown of any.
    pub fn through_us(&self, feeds: &[Feed]) -> u64 {
        let states = self.states();
        feeds.iter().map(|feed| states.get(feed).map_or(0, |state| state.through_us)).min().unwrap_or(0)
    }

    /// Since when the feed is out of reach; `None` if it is not.
    pub fn missed_since_us(&self, feed: &Feed) -> Option<u64> {
        self.states().get(feed).and_then(|state| state.missed_since_us)
    }

    fn states(&self) -> MutexGuard<'_, HashMap<Feed, State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
