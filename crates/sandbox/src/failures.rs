//! Remembers components that could not be compiled: how often that was tried, and when it is tried again.
//!
//! Whether a compilation ends in time also depends on what else the machine does, so it is tried again. But a
//! component that takes a processor for a minute without a result must not do so every half minute for ever.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use floodgate_event::{Backoff, Digest256};

use crate::compiler::CompileError;

/// The pauses before another try. They are bounded, because what kept the machine busy may have passed.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(30), Duration::from_secs(15 * 60));
/// The most components that are remembered. If there are more, the one that is due first is dropped, and may
/// then be tried at once.
const MAX_COMPONENTS: usize = 1_024;

/// The components that could not be compiled.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<HashMap<Digest256, Failure>>);

#[derive(Debug)]
struct Failure {
    tries: u32,
    until: Instant,
    reason: String,
}

impl Failure {
    fn wait(&self) -> Duration {
        BACKOFF.after(self.tries)
    }
}

impl Failures {
    /// Checks that a component may be tried now.
    ///
    /// # Errors
    /// Says how often it was tried, and with what result. The text stays the same until the next try.
    pub(super) fn check(&self, component: Digest256, now: Instant) -> Result<(), CompileError> {
        match self.lock().get(&component) {
            Some(failure) if now < failure.until => Err(CompileError::Later {
                tries: failure.tries,
                seconds: failure.wait().as_secs(),
                reason: failure.reason.clone(),
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// Records how a try ended.
    pub(super) fn note(&self, component: Digest256, error: Option<&CompileError>, now: Instant) {
        let mut failures = self.lock();
        // If the component is not at fault, it is tried again at once.
        let Some(error) = error.filter(|error| error.is_final()) else {
            failures.remove(&component);
            return;
        };
        let tries = failures.get(&component).map_or(0, |failure| failure.tries) + 1;
        let mut failure = Failure { tries, until: now, reason: error.to_string() };
        failure.until += failure.wait();
        failures.insert(component, failure);
        if failures.len() > MAX_COMPONENTS {
            let due =
                failures.iter().min_by_key(|(_, failure)| failure.until).map(|(component, _)| *component);
            due.map(|component| failures.remove(&component));
        }
    }

    /// Each change of the map is a single call, so a panic elsewhere leaves the map intact.
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Digest256, Failure>> {
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
        let (failures, mut now) = (Failures::default(), Instant::now());
        let (it, failure) = (component(1), CompileError::TooLarge);
        let mut waits = Vec::new();
        for tries in 1..=7 {
            failures.check(it, now).unwrap();
            failures.note(it, Some(&failure), now);
            let Err(CompileError::Later { tries: said, seconds, reason }) = failures.check(it, now) else {
                panic!("it may be tried at once");
            };
            assert_eq!((said, reason), (tries, failure.to_string()));
            now += Duration::from_secs(seconds) - Duration::from_millis(1);
            assert!(failures.check(it, now).is_err(), "not before its time");
            now += Duration::from_millis(1);
            waits.push(seconds);
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 900, 900]);
        failures.check(component(2), now).unwrap();
        failures.note(it, None, now);
        failures.note(it, Some(&failure), now);
        let again = failures.check(it, now);
        assert!(matches!(again, Err(CompileError::Later { tries: 1, .. })), "a success ends the count");
    }

    #[test]
    fn what_is_not_the_component_s_fault_waits_for_nothing() {
        let (failures, now) = (Failures::default(), Instant::now());
        failures.note(component(1), Some(&CompileError::Stopped), now);
        failures.check(component(1), now).unwrap();
    }

    #[test]
    fn so_many_are_remembered_and_no_more() {
        let (failures, now) = (Failures::default(), Instant::now());
        for number in 0..=MAX_COMPONENTS {
            let at = now + Duration::from_millis(number as u64);
            failures.note(component(number), Some(&CompileError::TooLarge), at);
        }
        assert_eq!(failures.lock().len(), MAX_COMPONENTS);
        failures.check(component(0), now).unwrap();
        assert!(failures.check(component(1), now).is_err());
    }
}
