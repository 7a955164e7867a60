//! At most so many lines in a second, without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Where the number of lines ends and the second begins, in the state.
const COUNT_BITS: u32 = 24;

/// Counts the lines of each second.
#[derive(Debug)]
pub(super) struct LineRate {
    most: u64,
    origin: Instant,
    /// The present second since `origin`, and below it how many lines it had.
    state: AtomicU64,
}

impl LineRate {
    /// At most `most` lines in a second, of which there can be 16 million.
    pub(super) fn new(most: u32) -> Self {
        let most = u64::from(most).min((1 << COUNT_BITS) - 1);
        Self { most, origin: Instant::now(), state: AtomicU64::new(0) }
    }

    /// Returns true if a line may be written at this time.
    pub(super) fn admit(&self, now: Instant) -> bool {
        let second = now.saturating_duration_since(self.origin).as_secs();
        let one_more = |state: u64| match state >> COUNT_BITS == second {
            true if state & ((1 << COUNT_BITS) - 1) >= self.most => None,
            true => Some(state + 1),
            false => Some((second << COUNT_BITS) + 1),
        };
        self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_second_has_its_lines() {
        let rate = LineRate::new(3);
        let admitted = |second: u64| {
            let now = rate.origin + Duration::from_secs(second);
            (0..10).filter(|_| rate.admit(now)).count()
        };
        assert_eq!((admitted(0), admitted(0), admitted(1), admitted(100_000)), (3, 0, 3, 3));
    }
}
