//! When a failed delivery is tried again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The waits between attempts. The first attempt is at once; after the last wait's
/// attempt the delivery is dead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u64>", into = "Vec<u64>")]
pub struct RetrySchedule(Vec<u64>);

impl RetrySchedule {
    /// How many waits a schedule may have.
    pub const MAX_WAITS: usize = 32;
    /// The longest single wait: a week, in seconds.
    pub const MAX_WAIT_SECONDS: u64 = 7 * 86_400;
    /// How far each wait is spread, as a share of it.
    pub const JITTER: f64 = 0.2;

    /// The longest wait with its jitter: the next attempt is never later than this.
    pub const LONGEST: Duration = Duration::from_secs(Self::MAX_WAIT_SECONDS * 6 / 5);

    /// Returns the number of attempts, the first one included.
    pub fn attempts(&self) -> u32 {
        // At most MAX_WAITS.
        self.0.len() as u32 + 1
    }

    /// Returns the wait after failed attempt number `attempt` (from 1), or `None` if that was the last.
    ///
    /// `spread`, 0 to 1, is the place within the jitter of ±20 %. `retry_after` is what the consumer asked
    /// for; it makes the wait longer, up to [`Self::MAX_WAIT_SECONDS`], and never shorter.
    pub fn wait_after(&self, attempt: u32, spread: f64, retry_after: Option<Duration>) -> Option<Duration> {
        let index = usize::try_from(attempt.checked_sub(1)?).ok()?;
        let seconds = *self.0.get(index)? as f64;
        let factor = 1.0 - Self::JITTER + 2.0 * Self::JITTER * spread.clamp(0.0, 1.0);
        let planned = Duration::from_secs_f64(seconds * factor);
        let asked = retry_after.unwrap_or_default().min(Duration::from_secs(Self::MAX_WAIT_SECONDS));
        Some(planned.max(asked))
    }
}

impl Default for RetrySchedule {
    /// The schedule that the Standard Webhooks specification gives as its example: 10 attempts over 75 hours.
    fn default() -> Self {
        Self(vec![5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400])
    }
}

impl TryFrom<Vec<u64>> for RetrySchedule {
    type Error = InvalidSchedule;

    fn try_from(waits: Vec<u64>) -> Result<Self, InvalidSchedule> {
        if waits.len() > Self::MAX_WAITS {
            return Err(InvalidSchedule::TooMany(waits.len()));
        }
        match waits.iter().find(|&&wait| wait > Self::MAX_WAIT_SECONDS) {
            Some(&wait) => Err(InvalidSchedule::TooLong(wait)),
            None => Ok(Self(waits)),
        }
    }
}

impl From<RetrySchedule> for Vec<u64> {
    fn from(schedule: RetrySchedule) -> Self {
        schedule.0
    }
}

/// Why a list of waits is not a retry schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchedule {
    /// The list has this many waits, more than [`RetrySchedule::MAX_WAITS`].
    #[error("a retry schedule has at most {max} waits, and this one has {0}", max = RetrySchedule::MAX_WAITS)]
    TooMany(usize),
    /// A wait has this many seconds, more than [`RetrySchedule::MAX_WAIT_SECONDS`].
    #[error("a wait is at most {max} seconds, and this one is {0}", max = RetrySchedule::MAX_WAIT_SECONDS)]
    TooLong(u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_specifications() {
        let schedule = RetrySchedule::default();
        assert_eq!(schedule.attempts(), 10);
        assert_eq!(schedule.wait_after(1, 0.5, None), Some(Duration::from_secs(5)));
        assert_eq!(schedule.wait_after(9, 0.5, None), Some(Duration::from_secs(86_400)));
        assert_eq!(schedule.wait_after(10, 0.5, None), None);
        assert_eq!(schedule.wait_after(0, 0.5, None), None);
    }

    #[test]
    fn jitter_and_retry_after_stay_within_bounds() {
        let schedule = RetrySchedule::try_from(vec![100]).unwrap();
        assert_eq!(schedule.wait_after(1, 0.0, None), Some(Duration::from_secs(80)));
        assert_eq!(schedule.wait_after(1, 1.0, None), Some(Duration::from_secs(120)));
        assert_eq!(schedule.wait_after(1, 0.5, Some(Duration::from_secs(7))), Some(Duration::from_secs(100)));
        let longest = RetrySchedule::try_from(vec![RetrySchedule::MAX_WAIT_SECONDS]).unwrap();
        assert_eq!(longest.wait_after(1, 1.0, None), Some(RetrySchedule::LONGEST));
        let year = Duration::from_secs(365 * 86_400);
        assert_eq!(schedule.wait_after(1, 0.5, Some(year)), Some(Duration::from_secs(7 * 86_400)));
    }
}
