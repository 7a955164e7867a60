//! One replay: how far it is.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use floodgate_event::EventId;
use serde::Serialize;
use time::OffsetDateTime;
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
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    state: JobState,
    replayed: u64,
    failed: u64,
    untaken: u32,
    outcomes: BTreeMap<&'static str, u64>,
    errors: Vec<JobError>,
    error: Option<String>,
}

/// Where a replay stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum JobState {
    /// It goes on.
    #[default]
    Running,
    /// Each event was tried.
    Done,
    /// Somebody stopped it, or the relay stopped.
    Cancelled,
    /// It cannot go on.
    Failed,
}

/// An event that was not replayed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct JobError {
    id: String,
    error: String,
}

/// A replay, as `GET /v1/replays/{id}` shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct JobView {
    pub(crate) id: String,
    pub(crate) state: JobState,
    pub(crate) matched: u64,
    /// On a region's disk again.
    pub(crate) replayed: u64,
    /// Quarantined still.
    pub(crate) failed: u64,
    /// What handlers made of those that were replayed.
    outcomes: BTreeMap<&'static str, u64>,
    /// The first failures.
    errors: Vec<JobError>,
    /// Why it could not go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    started_at: OffsetDateTime,
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
            progress.errors.push(JobError { id: id.to_string(), error });
        }
        drop(progress);
        if let Some(error) = give_up {
            self.fail(&error);
        }
    }

    /// It cannot go on.
    pub(super) fn fail(&self, error: &str) {
        let mut progress = self.progress();
        progress.state = JobState::Failed;
        progress.error.get_or_insert_with(|| error.to_owned());
        drop(progress);
        self.cancel.cancel();
    }

    /// Nothing of it is under way any more.
    pub(super) fn finish(&self) {
        let mut progress = self.progress();
        if progress.state == JobState::Running {
            progress.state = if self.cancel.is_cancelled() { JobState::Cancelled } else { JobState::Done };
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.progress().state != JobState::Running
    }

    pub(super) fn view(&self) -> JobView {
        let progress = self.progress();
        JobView {
            id: self.id.clone(),
            state: progress.state,
            matched: self.matched,
            replayed: progress.replayed,
            failed: progress.failed,
            outcomes: progress.outcomes.clone(),
            errors: progress.errors.clone(),
            error: progress.error.clone(),
            started_at: self.started_at,
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
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
        assert_eq!(job.view().state, JobState::Running, "a gateway answered in between");
        for _ in 0..MAX_UNTAKEN {
            job.note(EventId::from([1; 16]), untaken());
        }
        job.finish();
        let view = job.view();
        assert_eq!((view.state, view.error.as_deref()), (JobState::Failed, Some("nobody")));
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
        assert_eq!((done.view().state, cancelled.view().state), (JobState::Done, JobState::Cancelled));
    }
}
