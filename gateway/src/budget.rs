//! The memory for requests and events: one bound for all of them together, taken before bytes are held.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The bound.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    free: Arc<Semaphore>,
    total: usize,
}

/// The budget is used up for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exhausted;

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        let total = bytes.min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(total)), total }
    }

    /// Takes `bytes` of it, without waiting.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<Reservation, Exhausted> {
        let count = u32::try_from(bytes).map_err(|_| Exhausted)?;
        let permit = Arc::clone(&self.free).try_acquire_many_owned(count).map_err(|_| Exhausted)?;
        Ok(Reservation { budget: self.clone(), permit })
    }

    /// Bytes that are taken.
    pub(crate) fn used(&self) -> usize {
        self.total.saturating_sub(self.free.available_permits())
    }
}

/// A part of the budget, given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Budget,
    permit: OwnedSemaphorePermit,
}

impl Reservation {
    /// Makes it at least `bytes` large.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let missing = bytes.saturating_sub(self.permit.num_permits());
        if missing > 0 {
            self.permit.merge(self.budget.reserve(missing)?.permit);
        }
        Ok(())
    }

    /// Takes `bytes` more.
    pub(crate) fn grow_by(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.grow_to(self.permit.num_permits().saturating_add(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_given_back_and_no_more_is_lent_than_there_is() {
        let budget = Budget::new(100);
        let mut first = budget.reserve(60).unwrap();
        assert_eq!(budget.reserve(50).map(drop), Err(Exhausted));
        assert_eq!((first.grow_to(50), budget.used()), (Ok(()), 60));
        assert_eq!((first.grow_by(40), budget.used()), (Ok(()), 100));
        assert_eq!((first.grow_by(1), budget.used()), (Err(Exhausted), 100));
        drop(first);
        assert_eq!(budget.used(), 0);
    }
}
