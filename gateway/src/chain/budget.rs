//! The limits that an event's handlers share: time, and the memory that the event is counted in.

use std::time::Duration;

use floodgate_listen::{Exhausted, Reservation};

/// What is left for an event. Trials have as much time again for themselves, so that they never take any from
/// the promoted handlers.
#[derive(Debug)]
pub(super) struct EventBudget {
    promoted: Duration,
    tried: Duration,
    memory: Reservation,
}

/// Whose time a run takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunKind {
    Promoted,
    Tried,
}

impl EventBudget {
    pub(super) fn new(time: Duration, memory: Reservation) -> Self {
        Self { promoted: time, tried: time, memory }
    }

    /// The time that is left, or none if it is used up.
    pub(super) fn time_left(&self, kind: RunKind) -> Option<Duration> {
        let left = match kind {
            RunKind::Promoted => self.promoted,
            RunKind::Tried => self.tried,
        };
        (!left.is_zero()).then_some(left)
    }

    pub(super) fn charge(&mut self, kind: RunKind, time: Duration) {
        let left = match kind {
            RunKind::Promoted => &mut self.promoted,
            RunKind::Tried => &mut self.tried,
        };
        *left = left.saturating_sub(time);
    }

    /// Counts `bytes` more in the event's memory.
    ///
    /// # Errors
    /// If the process has no memory for them.
    pub(super) fn hold(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.memory.grow_by(bytes)
    }

    pub(super) fn into_memory(self) -> Reservation {
        self.memory
    }
}
