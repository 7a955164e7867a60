//! Replays quarantined events. A gateway runs each event through its source's handlers once more, and
//! enqueues the result like any event. The new copy resolves the quarantined one. Ids stay the same, so
//! replaying twice is harmless.
//!
//! Jobs are kept in the memory of the relay that was asked. If the relay ends, so do its jobs, and the events
//! that were replayed stay replayed.

mod events;
mod gateway;
mod job;

use std::num::NonZeroU32;
use std::sync::Arc;

use floodgate_api::replay::Progress;
use floodgate_control::{Control, PinnedVersion};
use floodgate_replicate::dedup::ledger::LedgerError;
use floodgate_replicate::lookup::{EventLookup, LookupError, NotTaken, Selection};
use floodgate_stream::RegionConnection;
use futures::StreamExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use self::events::{QuarantinedEvents, Scope};
use self::gateway::{GatewayClient, Outcome};
use self::job::Replayed;
use crate::jobs::{Job, Jobs};

/// The most replays that run at once.
const MAX_RUNNING: usize = 2;
/// The most events of one replay that are at gateways at once.
const IN_FLIGHT: usize = 8;

/// What to replay, and how fast.
pub(crate) struct Order {
    pub(crate) selection: Selection,
    /// The version to run in place of the one that sources bind under its name.
    pub(crate) handler: Option<PinnedVersion>,
    /// How many events are sent to gateways per second.
    pub(crate) rate: NonZeroU32,
}

/// The replays of this relay. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Replays(Arc<Inner>);

struct Inner {
    lookup: EventLookup,
    gateways: GatewayClient,
    jobs: Jobs<Replayed>,
    shutdown: CancellationToken,
}

impl Replays {
    pub(crate) fn new(
        control: Control,
        lookup: EventLookup,
        regions: Vec<RegionConnection>,
        shutdown: CancellationToken,
    ) -> Self {
        let gateways = GatewayClient { control, regions };
        Self(Arc::new(Inner { lookup, gateways, jobs: Jobs::new(MAX_RUNNING), shutdown }))
    }

    /// Counts the events that a replay would take, and returns those that the selection names and that it
    /// would not take.
    pub(crate) async fn count(&self, selection: &Selection) -> Result<(u64, Vec<NotTaken>), StartError> {
        let count = self.scopes(selection)?.iter().map(|scope| scope.count).sum();
        Ok((count, self.0.lookup.not_selected(selection).await?))
    }

    /// Starts a replay of the events that are quarantined now. Events that the selection names and that
    /// cannot be replayed count as failed.
    pub(crate) async fn start(&self, order: Order) -> Result<Progress, StartError> {
        let slot = self.0.jobs.place().ok_or(StartError::Busy)?;
        let scopes = self.scopes(&order.selection)?;
        let not_taken = self.0.lookup.not_selected(&order.selection).await?;
        let count: u64 = scopes.iter().map(|scope| scope.count).sum();
        let counts = Replayed::of(count + not_taken.len() as u64);
        let job = Arc::new(Job::new(counts, self.0.shutdown.child_token()));
        for NotTaken { id, reason } in not_taken {
            job.note(id, Outcome::Failed(reason));
        }
        self.0.jobs.keep(&job);
        tokio::spawn(self.clone().run(Arc::clone(&job), order, scopes, slot));
        Ok(job.view())
    }

    /// The progress of a replay.
    pub(crate) fn get(&self, id: &str) -> Option<Progress> {
        self.0.jobs.view(id)
    }

    /// Stops a replay. Events that gateways already have are completed.
    pub(crate) fn cancel(&self, id: &str) -> Option<Progress> {
        self.0.jobs.cancel(id)
    }

    async fn run(
        self,
        job: Arc<Job<Replayed>>,
        order: Order,
        scopes: Vec<Scope>,
        slot: OwnedSemaphorePermit,
    ) {
        tracing::info!(replay = job.id, events = job.view().matched, "replay started");
        let Inner { lookup, gateways, .. } = &*self.0;
        let handler = order.handler.as_ref();
        let events = QuarantinedEvents::new(lookup.clone(), order.selection, scopes, order.rate);
        let events = events.into_stream().take_until(job.cancel.cancelled());
        events
            .for_each_concurrent(IN_FLIGHT, |event| async {
                match event {
                    Ok(event) => job.note(event.id, gateways.replay(event, handler).await),
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
}

/// Why a replay was not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// As many replays run as may.
    #[error("{MAX_RUNNING} replays are running: wait for one, or cancel it")]
    Busy,
    /// The quarantine index cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The events that the selection names cannot be looked up.
    #[error(transparent)]
    Lookup(#[from] LookupError),
}
