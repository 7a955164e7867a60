//! Which secrets of a source still verify requests, so that an operator sees when a rotation is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A secret, and when it last verified a request. It outlives a change of the configuration.
#[derive(Debug)]
pub(super) struct SecretUse {
    pub(super) id: String,
    /// Unix time in microseconds. It is 0 if the secret has not verified anything since the process began.
    last_us: AtomicU64,
}

impl SecretUse {
    /// Makes an entry for each of these ids. An id that was there before keeps its entry.
    pub(super) fn of<'i>(ids: impl Iterator<Item = &'i str>, before: &[Arc<Self>]) -> Vec<Arc<Self>> {
        let known = |id: &str| before.iter().find(|secret| secret.id == id).map(Arc::clone);
        let new = |id: &str| Arc::new(Self { id: id.to_owned(), last_us: AtomicU64::new(0) });
        ids.map(|id| known(id).unwrap_or_else(|| new(id))).collect()
    }

    /// Records that the secret verified a request at this Unix time in microseconds. The latest call counts
    /// and not the highest time: after a clock was ahead for a while, its times must not stay. If two workers
    /// call at once, their times differ by no more than a request takes.
    pub(super) fn used(&self, at_us: u64) {
        self.last_us.store(at_us, Ordering::Relaxed);
    }

    /// Returns when the secret last verified a request, or `None` if it has not since the process began.
    pub(super) fn last_us(&self) -> Option<u64> {
        Some(self.last_us.load(Ordering::Relaxed)).filter(|at| *at > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_secret_stays_as_long_as_the_secret_does() {
        let first = SecretUse::of(["a", "b"].into_iter(), &[]);
        first[1].used(5);
        let next = SecretUse::of(["b", "c"].into_iter(), &first);
        let last: Vec<_> = next.iter().map(|secret| (&*secret.id, secret.last_us())).collect();
        assert_eq!(last, [("b", Some(5)), ("c", None)]);
    }

    #[test]
    fn a_clock_that_was_ahead_is_forgotten_with_the_next_use() {
        let secrets = SecretUse::of(["a"].into_iter(), &[]);
        secrets[0].used(2_000);
        secrets[0].used(1_000);
        assert_eq!(secrets[0].last_us(), Some(1_000), "2,000 is in the future by the clock as it is now");
    }
}
