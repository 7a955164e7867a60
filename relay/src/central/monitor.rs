//! Checks the centre's streams every few seconds: creates new ones, and reports those that are lost.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use floodgate_event::causes::chain;
use floodgate_event::central::Lost;
use floodgate_event::{Lane, ShardCount};
use floodgate_stream::Contract;
use floodgate_stream::central::{self, Deployment, DeploymentError, find_loss};
use floodgate_stream::placement::Centre;
use floodgate_stream::provision;
use prometheus::{IntGaugeVec, Opts, Registry};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::folded_from::FoldedFrom;
use super::{CONFIRMED, LOOK_SOON, State, streams_of};
use crate::store::ShardStore;

/// How often the monitor looks at the streams.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The task that checks the centre's streams.
pub(crate) struct Monitor {
    pub(crate) context: Context,
    pub(crate) count: ShardCount,
    pub(crate) shards: Vec<ShardStore>,
    /// The settings that the centre's streams are created with.
    pub(crate) centre: Centre,
    pub(crate) state_dir: PathBuf,
    pub(crate) metrics: CentralMetrics,
    /// Asks for a look before the next one is due.
    pub(crate) look: Arc<Notify>,
    pub(crate) shutdown: CancellationToken,
}

impl Monitor {
    pub(super) async fn run(self, sender: watch::Sender<State>) {
        let mut folded_from = FoldedFrom::read(&self.state_dir);
        loop {
            let before = sender.borrow().clone();
            let pause = match self.look(&before, &mut folded_from).await {
                Ok(state) => {
                    let in_doubt = state.lost.values().any(|(_, looks)| *looks < CONFIRMED);
                    sender.send_replace(state);
                    if in_doubt { LOOK_SOON } else { LOOK_EVERY }
                }
                Err(error) => {
                    tracing::debug!(error = chain(&error), "the centre's streams cannot be looked at");
                    LOOK_SOON
                }
            };
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = self.look.notified() => {}
                () = sleep(pause) => {}
            }
        }
    }

    async fn look(&self, before: &State, folded_from: &mut FoldedFrom) -> Result<State, LookError> {
        let deployment = self.provision(central::load(&self.context).await?).await?;
        // This comes before the streams are looked at: then nothing that was read is behind their ends.
        let progress = tokio::task::block_in_place(|| self.progress(&deployment, folded_from))?;
        let mut lost = BTreeMap::new();
        for stream in central::streams(self.count) {
            let noted = deployment.streams.get(&stream).cloned().unwrap_or_default();
            let found = central::find(&self.context, &stream).await?;
            let read = progress.get(&stream).copied().unwrap_or_default();
            if let Some(judged) = find_loss(&noted, found.as_ref(), read.through) {
                let looks = before.lost.get(&stream).map_or(0, |(_, looks)| *looks) + 1;
                lost.insert(stream.clone(), (judged, looks.min(CONFIRMED)));
            } else if found.is_some_and(|found| read.folded <= found.state.last_sequence) {
                folded_from.note(&stream, noted.identity());
            }
            self.report(&stream, before, lost.get(&stream));
        }
        folded_from.write(&self.state_dir);
        Ok(State { looks: before.looks + 1, noted: deployment.streams, lost })
    }

    /// Creates and records the streams that were never recorded, or whose loss was accepted.
    async fn provision(&self, known: Option<Deployment>) -> Result<Deployment, LookError> {
        let deployment = match known {
            Some(known) => known,
            // If the record disappeared while this process runs, it is known what was in it.
            None => central::open(&self.context, self.count).await?,
        };
        let is_new = |contract: &Contract| {
            deployment.streams.get(contract.name()).is_none_or(|noted| noted.made.is_none())
        };
        let new: Vec<Contract> = Contract::central(self.count).filter(is_new).collect();
        // Nothing reads the set-aside stream, so its loss stops no shard. Only a writer that has a message
        // for it waits.
        provision::central_stream(&self.context, &Contract::set_aside(), self.centre).await?;
        if new.is_empty() {
            return Ok(deployment);
        }
        let mut made = HashMap::new();
        for contract in new {
            provision::central_stream(&self.context, &contract, self.centre).await?;
            if let Some(found) = central::find(&self.context, contract.name()).await? {
                made.insert(contract.name().to_owned(), central::mark(&self.context, &found).await?);
            }
        }
        let noted = central::change(&self.context, |known| {
            let mut deployment = known.unwrap_or_else(|| Deployment::new(self.count));
            for (stream, made) in &made {
                let noted = deployment.streams.entry(stream.clone()).or_default();
                noted.made.get_or_insert_with(|| made.clone());
            }
            deployment
        });
        Ok(noted.await?)
    }

    /// How far each stream was read, as far as this process and the journal know.
    fn progress(
        &self,
        deployment: &Deployment,
        folded_from: &FoldedFrom,
    ) -> Result<HashMap<String, ReadThrough>, LookError> {
        let mut progress = HashMap::new();
        for store in &self.shards {
            let [log, journal] = streams_of(store.shard);
            let noted = deployment.streams.get(&log).cloned().unwrap_or_default();
            let folded = store.ledger.cut().checkpoint.map_or(0, |at| at.sequence);
            let mut through = if folded_from.is(&log, deployment) { folded } else { 0 };
            // A journal that does not know of an accepted loss yet has cursors in the log before it.
            let learnt = store.deliveries.log().map_err(LookError::Index)?;
            if learnt == noted.identity() || (learnt.is_empty() && noted.accepted.is_none()) {
                for lane in Lane::ALL {
                    through = through.max(store.deliveries.cursor(lane).map_err(LookError::Index)?);
                }
            }
            progress.insert(log, ReadThrough { through, folded });
            let folded = store.deliveries.checkpoint().map_err(LookError::Index)?.map_or(0, |at| at.sequence);
            let through = if folded_from.is(&journal, deployment) { folded } else { 0 };
            progress.insert(journal, ReadThrough { through, folded });
        }
        Ok(progress)
    }

    /// Sets the metric, and logs changes.
    fn report(&self, stream: &str, before: &State, now: Option<&(Lost, u32)>) {
        let now = now.filter(|(_, looks)| *looks >= CONFIRMED).map(|(lost, _)| lost);
        self.metrics.lost.with_label_values(&[stream]).set(now.is_some().into());
        match (before.confirmed(stream), now) {
            (before, Some(lost)) if before != Some(lost) => tracing::error!(
                stream,
                %lost,
                "a stream of the centre is lost: its shard is stopped until it is restored, or the loss is accepted by \
                 `floodgate accept-loss`"
            ),
            (Some(_), None) => tracing::info!(stream, "the stream is as it is known again"),
            _ => {}
        }
    }
}

/// How far a stream was read.
#[derive(Clone, Copy, Debug, Default)]
struct ReadThrough {
    /// A sequence that was read from this same stream.
    through: u64,
    /// The sequence up to which this process has folded, from this stream or from an earlier one of its name.
    folded: u64,
}

/// The metric of streams that are lost.
#[derive(Clone)]
pub(crate) struct CentralMetrics {
    lost: IntGaugeVec,
}

impl CentralMetrics {
    /// Registers the metric.
    ///
    /// # Errors
    /// If the name is registered already.
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let help =
            "1 while a stream of the centre is gone, another one, or shorter than what was read from it.";
        let lost = IntGaugeVec::new(Opts::new("floodgate_central_stream_lost", help), &["stream"])?;
        registry.register(Box::new(lost.clone()))?;
        Ok(Self { lost })
    }
}

#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
    #[error(transparent)]
    Provision(#[from] provision::ProvisionError),
    #[error("the delivery index cannot be read")]
    Index(#[source] floodgate_deliver::IndexError),
}
