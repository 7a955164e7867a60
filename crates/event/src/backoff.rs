//! The pauses between the tries of an operation that failed.

use std::time::Duration;

/// Pauses that double, from a first one to a longest one. This type only computes them, and the caller
/// sleeps.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Makes a back-off whose first pause is `first`. No pause is longer than `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// Counts a failure. Returns the pause before the next try.
    pub fn pause(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.after(self.failures)
    }

    /// Begins with the first pause again, after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Returns the pause after so many failures in a row, for callers that count them. No failure counts as
    /// one.
    pub fn after(&self, failures: u32) -> Duration {
        let factor = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_a_success() {
        let mut backoff = BACKOFF;
        let mut pauses = |count: usize| (0..count).map(|_| backoff.pause().as_millis()).collect::<Vec<_>>();
        assert_eq!(pauses(6), [100, 200, 400, 800, 1_000, 1_000]);
        backoff.reset();
        assert_eq!(backoff.pause().as_millis(), 100);
    }

    #[test]
    fn any_number_of_failures_has_a_pause() {
        let pauses = [0, 1, 2, 32, 33, u32::MAX].map(|failures| BACKOFF.after(failures).as_millis());
        assert_eq!(pauses, [100, 100, 200, 1_000, 1_000, 1_000]);
    }
}
