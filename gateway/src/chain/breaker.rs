//! Stops running a handler that fails on every event.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use floodgate_sandbox::Limits;

/// After how many failures a handler is no longer run, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Threshold {
    /// The number of failures in a row.
    pub(crate) faults: u32,
    /// The time after which one event tries it again.
    pub(crate) pause: Duration,
}

impl Threshold {
    /// The threshold that the process's limits set.
    pub(crate) fn of(limits: &Limits) -> Self {
        Self { faults: limits.breaker_faults, pause: Duration::from_secs(limits.breaker_seconds.into()) }
    }
}

/// One handler version's breaker, in one gateway process: closed, open after [`Threshold::faults`] failures
/// in a row, half open for one event after each pause.
#[derive(Debug)]
pub(crate) struct Breaker {
    threshold: Threshold,
    origin: Instant,
    faults: AtomicU32,
    /// Milliseconds since `origin` at which the next event may try, while open.
    retry_at_ms: AtomicU64,
}

// Counts may be off by the runs that end at the same moment. No other memory access is ordered by them, so
// `Relaxed` is enough.
impl Breaker {
    pub(crate) fn new(threshold: Threshold) -> Self {
        Self { threshold, origin: Instant::now(), faults: AtomicU32::new(0), retry_at_ms: AtomicU64::new(0) }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.faults.load(Ordering::Relaxed) >= self.threshold.faults
    }

    /// Returns true if an event may run. While the breaker is open, one may after each pause.
    pub(crate) fn admits(&self) -> bool {
        self.admits_at(|| self.now_ms())
    }

    /// Reads the clock only while the breaker is open, so most events cost no read.
    fn admits_at(&self, now_ms: impl FnOnce() -> u64) -> bool {
        if !self.is_open() {
            return true;
        }
        let now_ms = now_ms();
        let retry_at = self.retry_at_ms.load(Ordering::Relaxed);
        let next = now_ms.saturating_add(self.pause_ms());
        let take = || self.retry_at_ms.compare_exchange(retry_at, next, Ordering::Relaxed, Ordering::Relaxed);
        now_ms >= retry_at && take().is_ok()
    }

    /// Records how a run ended. Returns true if that opened the breaker.
    pub(crate) fn record(&self, failed: bool) -> bool {
        self.record_at(failed, || self.now_ms())
    }

    fn record_at(&self, failed: bool, now_ms: impl FnOnce() -> u64) -> bool {
        if !failed {
            // The usual case: nothing is written to memory that all processors share.
            if self.faults.load(Ordering::Relaxed) != 0 {
                self.faults.store(0, Ordering::Relaxed);
            }
            return false;
        }
        let before = self.faults.fetch_add(1, Ordering::Relaxed);
        if before >= self.threshold.faults {
            // The counter stays far from an overflow, which would close the breaker.
            self.faults.store(self.threshold.faults, Ordering::Relaxed);
        }
        let opened = before.saturating_add(1) == self.threshold.faults;
        if opened {
            self.retry_at_ms.store(now_ms().saturating_add(self.pause_ms()), Ordering::Relaxed);
        }
        opened
    }

    fn pause_ms(&self) -> u64 {
        u64::try_from(self.threshold.pause.as_millis()).unwrap_or(u64::MAX)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_open_it_and_one_event_tries_after_a_pause() {
        let breaker = Breaker::new(Threshold { faults: 3, pause: Duration::from_secs(5) });
        assert!(!breaker.record_at(true, || 0) && !breaker.record_at(true, || 0));
        assert!(!breaker.record_at(false, || 0), "a success in between begins anew");
        let opened: Vec<_> = (0..3).map(|_| breaker.record_at(true, || 1_000)).collect();
        assert_eq!(opened, [false, false, true]);
        assert!(!breaker.admits_at(|| 5_999));
        assert!(breaker.admits_at(|| 6_000));
        assert!(!breaker.admits_at(|| 6_000), "the others wait for what the first finds");
        assert!(!breaker.record_at(true, || 6_001));
        assert!(!breaker.admits_at(|| 10_999));
        assert!(breaker.admits_at(|| 11_000));
        breaker.record_at(false, || 11_001);
        assert!(breaker.admits_at(|| 11_001) && !breaker.is_open());
    }
}
