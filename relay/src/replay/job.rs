//! What a replay counts.

use std::collections::BTreeMap;

use floodgate_api::replay::{EventError, Progress};
use floodgate_event::EventId;

use super::gateway::Outcome;
use crate::jobs::{Counts, Job, JobView};

/// How many failures are kept with their reason. All of them are counted.
const MAX_ERRORS: usize = 10;

/// The counts of one replay.
pub(super) struct Replayed {
    /// Events that were quarantined when it started, and those that the filter names although they are not.
    matched: u64,
    replayed: u64,
    failed: u64,
    outcomes: BTreeMap<&'static str, u64>,
    errors: Vec<EventError>,
}

impl Replayed {
    /// Makes the counts of a replay that has not tried any of its `matched` events.
    pub(super) fn of(matched: u64) -> Self {
        Self { matched, replayed: 0, failed: 0, outcomes: BTreeMap::new(), errors: Vec::new() }
    }

    fn fail(&mut self, id: EventId, error: String) {
        self.failed += 1;
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(EventError { id: id.to_string(), error });
        }
    }
}

impl Job<Replayed> {
    /// Counts the result of an event.
    pub(super) fn note(&self, id: EventId, outcome: Outcome) {
        match outcome {
            Outcome::Replayed(outcome) => self.count(None, |counts| {
                counts.replayed += 1;
                *counts.outcomes.entry(outcome).or_default() += 1;
            }),
            Outcome::Failed(error) => self.count(None, |counts| counts.fail(id, error)),
            Outcome::Untaken(error) => self.count(Some(&error), |counts| counts.fail(id, error.clone())),
        }
    }
}

impl Counts for Replayed {
    type View = Progress;

    fn view(&self, job: JobView) -> Progress {
        let outcomes = self.outcomes.iter().map(|(outcome, count)| ((*outcome).to_owned(), *count));
        Progress {
            id: job.id,
            state: job.state,
            matched: self.matched,
            replayed: self.replayed,
            failed: self.failed,
            outcomes: outcomes.collect(),
            errors: self.errors.clone(),
            error: job.error,
            started_at: job.started_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use floodgate_api::replay::State;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::jobs::MAX_UNTAKEN;

    fn job() -> Job<Replayed> {
        Job::new(Replayed::of(100), CancellationToken::new())
    }

    #[test]
    fn a_replay_that_no_gateway_takes_is_given_up() {
        let job = job();
        let untaken = || Outcome::Untaken("nobody".into());
        for _ in 1..MAX_UNTAKEN {
            job.note(EventId::from([1; 16]), untaken());
        }
        job.note(EventId::from([2; 16]), Outcome::Failed("it traps".into()));
        assert_eq!(job.view().state, State::Running, "a gateway answered in between");
        for _ in 0..MAX_UNTAKEN {
            job.note(EventId::from([1; 16]), untaken());
        }
        job.finish();
        let view = job.view();
        assert_eq!((view.state, view.error.as_deref()), (State::Failed, Some("nobody")));
        assert!(job.cancel.is_cancelled());
        assert_eq!((view.failed, view.errors.len()), (u64::from(2 * MAX_UNTAKEN), MAX_ERRORS));
    }
}
