//! The time that an event's handlers share.

use std::time::Duration;

/// What an event has left of it. Versions that are tried beside others have an allowance of their own, so
/// that a trial never costs an event what its promoted handlers need.
#[derive(Debug)]
pub(super) struct Allowance {
    promoted: Duration,
    tried: Duration,
}

/// Who a run is charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payer {
    Promoted,
    Tried,
}

impl Allowance {
    pub(super) fn new(time: Duration) -> Self {
        Self { promoted: time, tried: time }
    }

    /// What is left, if anything is.
    pub(super) fn left(&self, payer: Payer) -> Option<Duration> {
        let left = match payer {
            Payer::Promoted => self.promoted,
            Payer::Tried => self.tried,
        };
        (!left.is_zero()).then_some(left)
    }

    pub(super) fn charge(&mut self, payer: Payer, time: Duration) {
        let left = match payer {
            Payer::Promoted => &mut self.promoted,
            Payer::Tried => &mut self.tried,
        };
        *left = left.saturating_sub(time);
    }
}
