//! Limits how often one kind of line is logged. Lines that others can cause at any rate must neither fill the
//! disk nor hide other lines.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many lines may be logged at once.
const BURST: u32 = 5;
/// How long until one more line may be written.
const PERIOD: Duration = Duration::from_secs(10);

/// Admits a few lines at once, then one every ten seconds, and counts the others. Use one for each kind of
/// line and for each thing that the line is about, so that none hides another.
#[derive(Debug, Default)]
pub struct LogRate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// How many lines were admitted that time has not made up for yet.
    used: u32,
    /// When time last made up for a line.
    since: Option<Instant>,
    left_out: u64,
}

impl LogRate {
    /// Begins with a full burst of lines.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks whether a line may be logged now. Returns how many lines were left out since the last one, or
    /// `None` if this one must be left out too.
    pub fn admit(&self) -> Option<u64> {
        self.admit_at(Instant::now())
    }

    /// Returns how many lines were left out and not reported yet, and resets the count. The caller reports
    /// them.
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
            // As at the beginning: the next period begins with the next line.
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
