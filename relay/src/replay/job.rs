//! One replay: how far it is.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use floodgate_api::replay::{EventError, Progress, State};
use floodgate_event::EventId;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use super::courier::Outcome;

/// Failures that are kept with their reason; all are counted.
const MAX_ERRORS: usize = 10;
/// Events in a row that no gateway took, after which a replay is given up: the rest would fare no better.
const MAX_UNTAKEN: u32 = 16;

/// A replay.
pub(super) struct Job {
    pub(super) id: String,
    /// Events that were quarantined when it started, and those that it names and are not.
    pub(super) matched: u64,
    pub(super) cancel: CancellationToken,
    started_at: OffsetDateTime,
    progress: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    state: State,
    replayed: u64,
    failed: u64,
    untaken: u32,
    outcomes: BTreeMap<&'static str, u64>,
    errors: Vec<EventError>,
    error: Option<String>,
}

impl Job {
    pub(super) fn new(matched: u64, cancel: CancellationToken) -> Self {
        let id = format!("rpl_{}", Ulid::generate().to_string().to_lowercase());
        let started_at = SystemTime::now().into();
        Self { id, matched, cancel, started_at, progress: Mutex::default() }
    }

    /// Counts what became of an event.
    pub(super) fn note(&self, id: EventId, outcome: Outcome) {
        let mut progress = self.progress();
        let error = match outcome {
            Outcome::Replayed(outcome) => {
                progress.replayed += 1;
                progress.untaken = 0;
                *progress.outcomes.entry(outcome).or_default() += 1;
                return;
            }
            Outcome::Failed(error) => {
                progress.untaken = 0;
                error
            }
            Outcome::Untaken(error) => {
                progress.untaken += 1;
                error
            }
        };
        progress.failed += 1;
        let give_up = (progress.untaken == MAX_UNTAKEN).then(|| error.clone());
        if progress.errors.len() < MAX_ERRORS {
            progress.errors.push(EventError { id: id.to_string(), error });
        }
        drop(progress);
        if let Some(error) = give_up {
            self.fail(&error);
        }
    }

    /// It cannot go on.
    pub(super) fn fail(&self, error: &str) {
        let mut progress = self.progress();
        progress.state = State::Failed;
        progress.error.get_or_insert_with(|| error.to_owned());
        drop(progress);
        self.cancel.cancel();
    }

    /// Nothing of it is under way any more.
    pub(super) fn finish(&self) {
        let mut progress = self.progress();
        if progress.state == State::Running {
            progress.state = if self.cancel.is_cancelled() { State::Cancelled } else { State::Done };
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.progress().state != State::Running
    }

    pub(super) fn view(&self) -> Progress {
        let progress = self.progress();
        Progress {
            id: self.id.clone(),
            state: progress.state,
            matched: self.matched,
            replayed: progress.replayed,
            failed: progress.failed,
            outcomes: progress
                .outcomes
                .iter()
                .map(|(outcome, count)| ((*outcome).to_owned(), *count))
                .collect(),
            errors: progress.errors.clone(),
            error: progress.error.clone(),
            started_at: self.started_at.format(&Rfc3339).unwrap_or_default(),
        }
    }

    fn progress(&self) -> MutexGuard<'_, Counts> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        Job::new(100, CancellationToken::new())
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

    #[test]
    fn it_ends_as_done_or_as_cancelled() {
        let (done, cancelled) = (job(), job());
        done.note(EventId::from([1; 16]), Outcome::Replayed("pass"));
        done.finish();
        cancelled.cancel.cancel();
        assert!(!cancelled.has_ended(), "what is under way is seen through");
        cancelled.finish();
        assert_eq!((done.view().state, cancelled.view().state), (State::Done, State::Cancelled));
    }
}
