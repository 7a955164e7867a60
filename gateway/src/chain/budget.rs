//! What an event's handlers may use up together: time, and the memory that the event is counted in.

use std::time::Duration;

use floodgate_listen::{Exhausted, Reservation};

/// What an event has left. Versions that are tried beside others have as much time again, so
/// that a trial never costs an event what its promoted handlers need.
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

    /// The time that is left, if any is.
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

    /// Counts `bytes` more for the event.
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
