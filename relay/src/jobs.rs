//! Jobs that a relay runs for somebody who asks how far they are. They are kept in its memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use floodgate_api::replay::State;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

/// The most jobs that are remembered, including those that run.
const MAX_KEPT: usize = 16;
/// After how many items in a row that no gateway took a job is given up: the rest would fail as well.
pub(crate) const MAX_UNTAKEN: u32 = 16;

/// What a job counts.
pub(crate) trait Counts {
    /// The document that shows it to those who ask.
    type View;

    /// Shows the counts of a job.
    fn view(&self, job: JobView) -> Self::View;
}

/// What all jobs show.
pub(crate) struct JobView {
    pub(crate) id: String,
    pub(crate) state: State,
    /// Why the job failed.
    pub(crate) error: Option<String>,
    /// As in RFC 3339.
    pub(crate) started_at: String,
}

/// A job, as this relay remembers it.
pub(crate) struct Job<C> {
    pub(crate) id: String,
    pub(crate) cancel: CancellationToken,
    started_at: OffsetDateTime,
    progress: Mutex<Progress<C>>,
}

struct Progress<C> {
    state: State,
    error: Option<String>,
    untaken: u32,
    counts: C,
}

impl<C: Counts> Job<C> {
    /// Makes a job that runs until `cancel` is cancelled or [`finish`](Self::finish) is called.
    pub(crate) fn new(counts: C, cancel: CancellationToken) -> Self {
        let id = format!("rpl_{}", Ulid::generate().to_string().to_lowercase());
        let progress = Progress { state: State::default(), error: None, untaken: 0, counts };
        Self { id, cancel, started_at: SystemTime::now().into(), progress: Mutex::new(progress) }
    }

    /// Counts the result for an item. `untaken` says why no gateway took it, if none did.
    pub(crate) fn count(&self, untaken: Option<&str>, count: impl FnOnce(&mut C)) {
        let mut progress = self.progress();
        count(&mut progress.counts);
        progress.untaken = if untaken.is_some() { progress.untaken + 1 } else { 0 };
        let is_given_up = progress.untaken == MAX_UNTAKEN;
        drop(progress);
        if let Some(error) = untaken.filter(|_| is_given_up) {
            self.fail(error);
        }
    }

    /// Ends the job as failed.
    pub(crate) fn fail(&self, error: &str) {
        let mut progress = self.progress();
        progress.state = State::Failed;
        progress.error.get_or_insert_with(|| error.to_owned());
        drop(progress);
        self.cancel.cancel();
    }

    /// Records that none of its items is under way any more.
    pub(crate) fn finish(&self) {
        let mut progress = self.progress();
        if progress.state == State::Running {
            progress.state = if self.cancel.is_cancelled() { State::Cancelled } else { State::Done };
        }
    }

    /// Shows how far the job is.
    pub(crate) fn view(&self) -> C::View {
        let progress = self.progress();
        progress.counts.view(JobView {
            id: self.id.clone(),
            state: progress.state,
            error: progress.error.clone(),
            started_at: self.started_at.format(&Rfc3339).unwrap_or_default(),
        })
    }

    fn has_ended(&self) -> bool {
        self.progress().state != State::Running
    }

    fn progress(&self) -> MutexGuard<'_, Progress<C>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The jobs of one kind, oldest first.
pub(crate) struct Jobs<C> {
    kept: Mutex<VecDeque<Arc<Job<C>>>>,
    slots: Arc<Semaphore>,
}

impl<C: Counts> Jobs<C> {
    /// Makes an empty list, of which so many may run at once.
    pub(crate) fn new(most: usize) -> Self {
        Self { kept: Mutex::default(), slots: Arc::new(Semaphore::new(most)) }
    }

    /// Takes the place of a job that is to run, if there is one.
    pub(crate) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).try_acquire_owned().ok()
    }

    /// Remembers a job. If too many are remembered, forgets the oldest that have ended.
    pub(crate) fn keep(&self, job: &Arc<Job<C>>) {
        let mut kept = self.kept();
        while kept.len() >= MAX_KEPT && forget_one(&mut kept) {}
        kept.push_back(Arc::clone(job));
    }

    /// Shows how far the job of this id is. None if it is not remembered.
    pub(crate) fn view(&self, id: &str) -> Option<C::View> {
        self.find(id).map(|job| job.view())
    }

    /// Stops the job of this id, and shows how far it came. What gateways already have is completed.
    pub(crate) fn cancel(&self, id: &str) -> Option<C::View> {
        let job = self.find(id)?;
        job.cancel.cancel();
        Some(job.view())
    }

    fn find(&self, id: &str) -> Option<Arc<Job<C>>> {
        self.kept().iter().find(|job| job.id == id).cloned()
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Arc<Job<C>>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops the oldest job that has ended. Returns true if there was one.
fn forget_one<C: Counts>(jobs: &mut VecDeque<Arc<Job<C>>>) -> bool {
    let ended = jobs.iter().position(|job| job.has_ended());
    ended.and_then(|index| jobs.remove(index)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Counts for () {
        type View = State;

        fn view(&self, job: JobView) -> State {
            job.state
        }
    }

    fn job() -> Job<()> {
        Job::new((), CancellationToken::new())
    }

    #[test]
    fn only_jobs_that_have_ended_are_forgotten_the_oldest_first() {
        let jobs = Jobs::new(1);
        let all: Vec<_> = (0..MAX_KEPT + 1).map(|_| Arc::new(job())).collect();
        for (number, job) in all.iter().enumerate() {
            if number > 0 {
                job.finish();
            }
            jobs.keep(job);
        }
        let is_kept = |number: usize| jobs.find(&all[number].id).is_some();
        assert!(is_kept(0) && !is_kept(1) && is_kept(2));
    }

    #[test]
    fn no_more_run_than_may() {
        let jobs = Jobs::<()>::new(1);
        let place = jobs.place();
        assert!(place.is_some() && jobs.place().is_none());
        drop(place);
        assert!(jobs.place().is_some());
    }

    #[test]
    fn it_ends_as_done_or_as_cancelled() {
        let (done, cancelled) = (job(), job());
        done.count(None, |()| ());
        done.finish();
        cancelled.cancel.cancel();
        assert!(!cancelled.has_ended(), "what is under way is seen through");
        cancelled.finish();
        assert_eq!((done.view(), cancelled.view()), (State::Done, State::Cancelled));
    }
}
