//! A world for tests: one true time, and clocks that may be off. Used by the integration tests as well.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Clock, ClockId, HostClocks};

/// The true time at the beginning: in 2026.
pub(crate) const BEGIN_US: u64 = 1_780_000_000_000_000;
pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const DAY: i64 = 86_400 * SECOND;
/// How far the relay's time may be from the true one while a clock is off.
pub(crate) const MOST_OFF: u64 = 10_000_000;
/// Between two answers of the centre.
pub(crate) const STEP: Duration = Duration::from_secs(5);

/// One host in it, and the servers that it asks.
pub(crate) struct World {
    passed_us: AtomicU64,
    wall_off_us: AtomicI64,
    monotonic_off_us: AtomicI64,
    /// By how much each server's clock is off.
    servers: Mutex<Vec<(ClockId, i64)>>,
}

impl World {
    /// Regions come first: a vote is held at the centre's answer.
    pub(crate) fn new(regions: &[&str]) -> Arc<Self> {
        let regions = regions.iter().map(|name| (ClockId::Region(name.parse().unwrap()), 0));
        let servers = Mutex::new(regions.chain([(ClockId::Centre, 0)]).collect());
        let passed_us = AtomicU64::new(0);
        let (wall_off_us, monotonic_off_us) = (AtomicI64::new(0), AtomicI64::new(0));
        Arc::new(Self { passed_us, wall_off_us, monotonic_off_us, servers })
    }

    pub(crate) fn clock(self: &Arc<Self>) -> Clock {
        Clock::with_clocks(Arc::clone(self) as Arc<dyn HostClocks>, None)
    }

    /// All clocks that may be off.
    pub(crate) fn clocks(&self) -> Vec<ClockId> {
        let servers = self.servers.lock().unwrap();
        servers.iter().map(|(who, _)| who.clone()).chain([ClockId::Host]).collect()
    }

    pub(crate) fn truth(&self) -> u64 {
        BEGIN_US + self.passed_us.load(Relaxed)
    }

    pub(crate) fn set(&self, who: &ClockId, off_us: i64) {
        match self.servers.lock().unwrap().iter_mut().find(|(server, _)| server == who) {
            Some((_, off)) => *off = off_us,
            None => self.wall_off_us.store(off_us, Relaxed),
        }
    }

    pub(crate) fn set_monotonic(&self, off_us: i64) {
        self.monotonic_off_us.store(off_us, Relaxed);
    }

    /// Time passes, and nobody answers.
    pub(crate) fn pass(&self, time: Duration) {
        self.passed_us.fetch_add(u64::try_from(time.as_micros()).unwrap(), Relaxed);
    }

    /// Time passes, and at each step every server answers.
    pub(crate) fn run(&self, clock: &Clock, steps: u32) {
        for _ in 0..steps {
            self.pass(STEP);
            self.answer(clock);
        }
    }

    pub(crate) fn answer(&self, clock: &Clock) {
        for (who, off_us) in self.servers.lock().unwrap().iter() {
            clock.observe(who.clone(), self.truth().saturating_add_signed(*off_us), self.monotonic());
        }
    }
}

impl HostClocks for World {
    fn wall_us(&self) -> u64 {
        self.truth().saturating_add_signed(self.wall_off_us.load(Relaxed))
    }

    fn monotonic(&self) -> Duration {
        let passed_us = self.passed_us.load(Relaxed);
        Duration::from_micros(passed_us.saturating_add_signed(self.monotonic_off_us.load(Relaxed)))
    }
}
