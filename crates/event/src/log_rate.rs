//! How often one kind of line may be written. What others can cause at any rate must not fill the log's disk,
//! nor hide what else is in it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines at once.
const BURST: u32 = 5;
/// The time until one more.
const PERIOD: Duration = Duration::from_secs(10);

/// Admits a few lines at once and then one each ten seconds, and counts the others.
/// One for each kind of line and whatever it is about, so that none hides another.
#[derive(Debug, Default)]
pub struct LogRate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Admitted and not made up for by time yet.
    used: u32,
    /// When time last made up for one.
    since: Option<Instant>,
    left_out: u64,
}

impl LogRate {
    /// None admitted yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many lines were left out since the last one, if one may be written now.
    /// Else it counts as left out.
    pub fn admit(&self) -> Option<u64> {
        self.admit_at(Instant::now())
    }

    /// How many lines were left out and not told yet; telling it is the caller's now.
    pub fn take_left_out(&self) -> u64 {
        std::mem::take(&mut self.state().left_out)
    }

    fn admit_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.state();
        state.make_up(now);
        if state.used == BURST {
            state.left_out = state.left_out.saturating_add(1);
            return None;
        }
        state.used += 1;
        Some(std::mem::take(&mut state.left_out))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn make_up(&mut self, now: Instant) {
        let since = *self.since.get_or_insert(now);
        let periods = now.saturating_duration_since(since).as_secs() / PERIOD.as_secs();
        let periods = u32::try_from(periods).unwrap_or(u32::MAX);
        if periods >= self.used {
            // As at first: the next period begins with the next line.
            (self.used, self.since) = (0, Some(now));
        } else if periods > 0 {
            self.used -= periods;
            self.since = Some(since + PERIOD * periods);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_few_lines_and_a_count() {
        let (rate, start) = (LogRate::new(), Instant::now());
        let admitted = |count: u64, seconds| {
            let now = start + Duration::from_secs(seconds);
            (0..count).filter_map(|_| rate.admit_at(now)).collect::<Vec<_>>()
        };
        assert_eq!(admitted(2_000, 0), [0; 5]);
        assert_eq!(admitted(1, 9), [0; 0]);
        assert_eq!(admitted(2, 10), [1_996]);
        assert_eq!(admitted(1, 19), [0; 0]);
        assert_eq!(admitted(1, 21), [2]);
        assert_eq!(rate.take_left_out(), 0);
        assert_eq!(admitted(7, 1_000), [0; 5]);
        assert_eq!((rate.take_left_out(), rate.take_left_out()), (2, 0));
    }
}
