//! Replaying quarantined events: each goes through its source's handlers once more, in a gateway,
//! and from there the way of every event, which resolves the quarantined copy.
//! Ids stay, so replaying twice is harmless.
//!
//! Jobs live in the memory of the relay that was asked: with it they end, and what they did stays done.

mod courier;
mod feed;
mod job;

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use floodgate_api::replay::Progress;
use floodgate_control::{Control, Version};
use floodgate_replicate::books::RegionStreams;
use floodgate_replicate::dedup::ledger::LedgerError;
use floodgate_replicate::lookup::{EventLookup, LookupError, NotTaken, Selection};
use futures::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use self::courier::{Courier, Outcome};
use self::feed::{Feed, Scope};
use self::job::Job;

/// Replays that run at once.
const MAX_RUNNING: usize = 2;
/// Replays that are remembered, those that run included.
const MAX_KEPT: usize = 16;
/// Events of one replay that gateways have at once.
const IN_FLIGHT: usize = 8;

/// What to replay, and how.
pub(crate) struct Order {
    pub(crate) selection: Selection,
    /// In the place of what sources bind under its name.
    pub(crate) handler: Option<Version>,
    /// Events per second.
    pub(crate) rate: NonZeroU32,
}

/// The replays of this relay. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Replays(Arc<Inner>);

struct Inner {
    lookup: EventLookup,
    courier: Courier,
    /// Oldest first.
    jobs: Mutex<VecDeque<Arc<Job>>>,
    slots: Arc<Semaphore>,
    shutdown: CancellationToken,
}

impl Replays {
    pub(crate) fn new(
        control: Control,
        lookup: EventLookup,
        regions: Vec<RegionStreams>,
        shutdown: CancellationToken,
    ) -> Self {
        let slots = Arc::new(Semaphore::new(MAX_RUNNING));
        let courier = Courier { control, regions };
        Self(Arc::new(Inner { lookup, courier, jobs: Mutex::default(), slots, shutdown }))
    }

    /// How many events a replay would take, and which of those that it names it would not.
    pub(crate) async fn count(&self, selection: &Selection) -> Result<(u64, Vec<NotTaken>), StartError> {
        let count = self.scopes(selection)?.iter().map(|scope| scope.count).sum();
        Ok((count, self.0.lookup.not_selected(selection).await?))
    }

    /// Starts a replay of what is quarantined now. Events that it names and cannot take count as failed.
    pub(crate) async fn start(&self, order: Order) -> Result<Progress, StartError> {
        let slot = Arc::clone(&self.0.slots).try_acquire_owned().map_err(|_| StartError::Busy)?;
        let scopes = self.scopes(&order.selection)?;
        let not_taken = self.0.lookup.not_selected(&order.selection).await?;
        let count: u64 = scopes.iter().map(|scope| scope.count).sum();
        let job = Arc::new(Job::new(count + not_taken.len() as u64, self.0.shutdown.child_token()));
        for NotTaken { id, reason } in not_taken {
            job.note(id, Outcome::Failed(reason));
        }
        let mut jobs = self.jobs();
        while jobs.len() >= MAX_KEPT && forget_one(&mut jobs) {}
        jobs.push_back(Arc::clone(&job));
        drop(jobs);
        tokio::spawn(self.clone().run(Arc::clone(&job), order, scopes, slot));
        Ok(job.view())
    }

    /// How far a replay is.
    pub(crate) fn get(&self, id: &str) -> Option<Progress> {
        self.find(id).map(|job| job.view())
    }

    /// Stops a replay; what gateways have of it is seen through.
    pub(crate) fn cancel(&self, id: &str) -> Option<Progress> {
        let job = self.find(id)?;
        job.cancel.cancel();
        Some(job.view())
    }

    async fn run(self, job: Arc<Job>, order: Order, scopes: Vec<Scope>, slot: OwnedSemaphorePermit) {
        tracing::info!(replay = job.id, events = job.matched, "replay started");
        let Inner { lookup, courier, .. } = &*self.0;
        let handler = order.handler.as_ref();
        let feed = Feed::new(lookup.clone(), order.selection, scopes, order.rate);
        let events = feed.into_stream().take_until(job.cancel.cancelled());
        events
            .for_each_concurrent(IN_FLIGHT, |event| async {
                match event {
                    Ok(event) => job.note(event.id, courier.replay(event, handler).await),
                    Err(error) => job.fail(&error.to_string()),
                }
            })
            .await;
        job.finish();
        drop(slot);
        let view = job.view();
        tracing::info!(
            replay = job.id,
            state = ?view.state,
            replayed = view.replayed,
            failed = view.failed,
            "replay ended"
        );
    }

    fn scopes(&self, selection: &Selection) -> Result<Vec<Scope>, LedgerError> {
        tokio::task::block_in_place(|| {
            let scope = |shard: &floodgate_replicate::books::ShardBooks| {
                let (count, through) = selection.count(shard.ledger.quarantine())?;
                Ok(through.map(|through| Scope { shard: shard.shard, count, through }))
            };
            self.0.lookup.shards().iter().filter_map(|shard| scope(shard).transpose()).collect()
        })
    }

    fn find(&self, id: &str) -> Option<Arc<Job>> {
        self.jobs().iter().find(|job| job.id == id).cloned()
    }

    fn jobs(&self) -> MutexGuard<'_, VecDeque<Arc<Job>>> {
        self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets the oldest replay that has ended; says whether there was one.
fn forget_one(jobs: &mut VecDeque<Arc<Job>>) -> bool {
    let ended = jobs.iter().position(|job| job.has_ended());
    ended.and_then(|index| jobs.remove(index)).is_some()
}

/// Why a replay was not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// As many run as may.
    #[error("{MAX_RUNNING} replays are running: wait for one, or cancel it")]
    Busy,
    /// What is quarantined cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// What it names cannot be looked up.
    #[error(transparent)]
    Lookup(#[from] LookupError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_replays_that_have_ended_are_forgotten_the_oldest_first() {
        let job = || Arc::new(Job::new(0, CancellationToken::new()));
        let (runs, first, second) = (job(), job(), job());
        first.finish();
        second.finish();
        let mut jobs = VecDeque::from([Arc::clone(&runs), first, Arc::clone(&second)]);
        assert!(forget_one(&mut jobs));
        assert_eq!(jobs.iter().map(|job| &job.id).collect::<Vec<_>>(), [&runs.id, &second.id]);
        assert!(forget_one(&mut jobs) && !forget_one(&mut jobs));
    }
}
