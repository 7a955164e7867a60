//! A destination's limits: attempts per second, and how many of its attempts in flight may be retries.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// One part in this many of a destination's concurrency is kept free of retries.
const RESERVED_PART: usize = 4;

/// The most attempts per second that may begin for a destination.
pub(super) struct RateLimit {
    limiter: DefaultDirectRateLimiter,
    clock: DefaultClock,
}

impl RateLimit {
    pub(super) fn per_second(rate: NonZeroU32) -> Self {
        Self { limiter: RateLimiter::direct(Quota::per_second(rate)), clock: DefaultClock::default() }
    }

    /// Counts an attempt. If it must not begin now, this returns how long to wait, and counts nothing.
    pub(super) fn wait(&self) -> Option<Duration> {
        self.limiter.check().err().map(|later| later.wait_time_from(self.clock.now()))
    }
}

/// Returns the most retries that may be in flight at once, so that first attempts soon find a free place.
pub(super) fn max_retries(concurrency: usize) -> usize {
    let reserved = (concurrency / RESERVED_PART).max(1);
    concurrency.saturating_sub(reserved).max(1)
}

#[cfg(test)]
mod tests {
    use super::max_retries;

    #[test]
    fn a_quarter_of_the_concurrency_is_kept_for_first_attempts() {
        let most = [1, 2, 4, 16, 100].map(max_retries);
        assert_eq!(most, [1, 1, 3, 12, 75]);
    }
}
