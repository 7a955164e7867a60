//! How often one kind of line may be written. What a sender can cause at any rate must not fill the log's
//! disk, nor hide what else is in it.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// Lines at once.
const BURST: NonZeroU32 = NonZeroU32::new(5).unwrap();
/// The time until one more.
const PERIOD: Duration = Duration::from_secs(10);

/// Admits a few lines at once and then one each ten seconds. One for each kind of line and whatever it is
/// about, so that none hides another.
#[derive(Debug)]
pub(crate) struct LogRate {
    bucket: DefaultDirectRateLimiter,
    left_out: AtomicU64,
}

impl LogRate {
    pub(crate) fn new() -> Self {
        // None only of a period of zero.
        let quota = Quota::with_period(PERIOD).unwrap_or(Quota::per_second(NonZeroU32::MIN));
        Self { bucket: RateLimiter::direct(quota.allow_burst(BURST)), left_out: AtomicU64::new(0) }
    }

    /// How many lines were left out since the last one, if one may be written now. Else it counts as left
    /// out.
    pub(crate) fn admit(&self) -> Option<u64> {
        match self.bucket.check() {
            Ok(()) => Some(self.left_out.swap(0, Ordering::Relaxed)),
            Err(_) => {
                self.left_out.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_counted() {
        let rate = LogRate::new();
        let admitted = (0..2_000).filter(|_| rate.admit().is_some()).count();
        // A machine that stands still in the midst of it admits a few more.
        assert!((5..100).contains(&admitted), "{admitted}");
        let left_out = rate.left_out.load(Ordering::Relaxed);
        assert!(left_out > 0 && left_out <= 2_000 - admitted as u64, "{left_out}");
    }
}
