//! Components that were not compiled: how often that was tried, and when it is tried again.
//!
//! Whether a compilation ends in time is also a matter of what else the machine does, so that it is tried
//! again; but one that takes a processor for a minute and comes to nothing must not take it every half minute
//! for ever.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use floodgate_event::snapshot::Digest256;

use super::compiler::CompileError;

/// From the first failure to the next try; each further one takes twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(30);
/// The longest wait: what kept the machine busy may have passed.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// The most that are remembered. Of more than these the one that is due first is forgotten, and tried at
/// once.
const MAX_COMPONENTS: usize = 1_024;

/// What is known of components that were not compiled.
#[derive(Debug, Default)]
pub(super) struct Setbacks(Mutex<HashMap<Digest256, Setback>>);

#[derive(Debug)]
struct Setback {
    tries: u32,
    until: Instant,
    reason: String,
}

impl Setback {
    fn wait(&self) -> Duration {
        FIRST_WAIT.saturating_mul(1 << (self.tries - 1).min(16)).min(LONGEST_WAIT)
    }
}

impl Setbacks {
    /// Whether a component may be tried now.
    ///
    /// # Errors
    /// Says how often it was tried, and what came of it. The text stays the same until it is tried again.
    pub(super) fn check(&self, component: Digest256, now: Instant) -> Result<(), CompileError> {
        match self.lock().get(&component) {
            Some(setback) if now < setback.until => Err(CompileError::Later {
                tries: setback.tries,
                seconds: setback.wait().as_secs(),
                reason: setback.reason.clone(),
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// Takes note of what came of a try.
    pub(super) fn note(&self, component: Digest256, error: Option<&CompileError>, now: Instant) {
        let mut setbacks = self.lock();
        // What is not the component's fault is tried again at once.
        let Some(error) = error.filter(|error| error.is_final()) else {
            setbacks.remove(&component);
            return;
        };
        let tries = setbacks.get(&component).map_or(0, |setback| setback.tries) + 1;
        let mut setback = Setback { tries, until: now, reason: error.to_string() };
        setback.until += setback.wait();
        setbacks.insert(component, setback);
        if setbacks.len() > MAX_COMPONENTS {
            let due =
                setbacks.iter().min_by_key(|(_, setback)| setback.until).map(|(component, _)| *component);
            due.map(|component| setbacks.remove(&component));
        }
    }

    /// Each change of the map is one call, so that a panic elsewhere leaves it as it should be.
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Digest256, Setback>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(number: usize) -> Digest256 {
        Digest256::of(&number.to_be_bytes())
    }

    #[test]
    fn each_failure_doubles_the_wait_up_to_a_bound() {
        let (setbacks, mut now) = (Setbacks::default(), Instant::now());
        let (it, failure) = (component(1), CompileError::TooLarge);
        let mut waits = Vec::new();
        for tries in 1..=7 {
            setbacks.check(it, now).unwrap();
            setbacks.note(it, Some(&failure), now);
            let Err(CompileError::Later { tries: said, seconds, reason }) = setbacks.check(it, now) else {
                panic!("it may be tried at once");
            };
            assert_eq!((said, reason), (tries, failure.to_string()));
            now += Duration::from_secs(seconds) - Duration::from_millis(1);
            assert!(setbacks.check(it, now).is_err(), "not before its time");
            now += Duration::from_millis(1);
            waits.push(seconds);
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 900, 900]);
        setbacks.check(component(2), now).unwrap();
        setbacks.note(it, None, now);
        setbacks.note(it, Some(&failure), now);
        let again = setbacks.check(it, now);
        assert!(matches!(again, Err(CompileError::Later { tries: 1, .. })), "a success ends the count");
    }

    #[test]
    fn what_is_not_the_component_s_fault_waits_for_nothing() {
        let (setbacks, now) = (Setbacks::default(), Instant::now());
        setbacks.note(component(1), Some(&CompileError::Stopped), now);
        setbacks.check(component(1), now).unwrap();
    }

    #[test]
    fn so_many_are_remembered_and_no_more() {
        let (setbacks, now) = (Setbacks::default(), Instant::now());
        for number in 0..=MAX_COMPONENTS {
            let at = now + Duration::from_millis(number as u64);
            setbacks.note(component(number), Some(&CompileError::TooLarge), at);
        }
        assert_eq!(setbacks.lock().len(), MAX_COMPONENTS);
        setbacks.check(component(0), now).unwrap();
        assert!(setbacks.check(component(1), now).is_err());
    }
}
