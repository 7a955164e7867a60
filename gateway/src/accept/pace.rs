//! How fast a body must arrive.

use std::time::Duration;

use floodgate_listen::Account;
use tokio::time::Instant;

use super::Refusal;
use super::refusal::Unavailable;
use crate::config::Limits;

/// How many bytes must arrive within [`Pauses::longest`].
const LEAST_PROGRESS: usize = 1024;
/// How long less than [`LEAST_PROGRESS`] of a body may arrive while memory is short, and how often that is
/// checked.
pub(crate) const SHORT_PAUSE: Duration = Duration::from_millis(500);

/// How long a body may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pauses {
    /// The most time from the first byte to the last.
    pub(crate) whole: Duration,
    /// The most time in which less than a kilobyte arrives.
    pub(crate) longest: Duration,
}

impl From<&Limits> for Pauses {
    fn from(limits: &Limits) -> Self {
        Self {
            whole: Duration::from_secs(limits.body_seconds),
            longest: Duration::from_secs(limits.body_idle_seconds),
        }
    }
}

/// Distinguishes a slow body from one that its sender holds back, for example by sending next to nothing.
pub(crate) struct Pace {
    pauses: Pauses,
    begun: Instant,
    /// Since when less than [`LEAST_PROGRESS`] arrived, and how much.
    since: Instant,
    bytes: usize,
}

impl Pace {
    pub(crate) fn new(pauses: Pauses) -> Self {
        let now = Instant::now();
        Self { pauses, begun: now, since: now, bytes: 0 }
    }

    /// Counts bytes that arrived.
    pub(crate) fn count(&mut self, bytes: usize) {
        self.bytes += bytes;
        if self.bytes >= LEAST_PROGRESS {
            (self.since, self.bytes) = (Instant::now(), 0);
        }
    }

    /// Returns true once the body takes too long.
    pub(crate) fn is_lost(&self) -> bool {
        self.begun.elapsed() >= self.pauses.whole || self.since.elapsed() >= self.pauses.longest
    }

    pub(crate) fn check(&mut self, bytes: usize, account: &Account) -> Result<(), Refusal> {
        self.count(bytes);
        if self.is_lost() {
            Err(Refusal::TimedOut)
        } else if self.since.elapsed() >= SHORT_PAUSE && account.is_short() {
            // Others could use what this one holds.
            Err(Refusal::Unavailable(Unavailable::Memory))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use floodgate_listen::Budget;

    use super::*;

    const PAUSES: Pauses = Pauses { whole: Duration::from_secs(60), longest: Duration::from_secs(60) };

    #[test]
    fn sending_next_to_nothing_is_no_progress() {
        let account = Budget::unshared(100_000).own_account();
        let pauses = Pauses { longest: Duration::ZERO, ..PAUSES };
        assert_eq!(Pace::new(PAUSES).check(1, &account), Ok(()));
        let mut pace = Pace::new(pauses);
        assert_eq!(pace.check(LEAST_PROGRESS - 1, &account), Err(Refusal::TimedOut));
        let whole = Pauses { whole: Duration::ZERO, ..PAUSES };
        assert_eq!(Pace::new(whole).check(LEAST_PROGRESS, &account), Err(Refusal::TimedOut));
    }
}
