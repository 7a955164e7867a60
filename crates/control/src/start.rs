//! Starts the control plane: reads the configuration, makes the first routes, and spawns the background
//! tasks. Nothing is stored at a start, except that a new deployment gets an empty configuration.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use floodgate_clock::Clock;
use floodgate_egress::SsrfGuard;
use floodgate_event::ShardCount;
use floodgate_event::causes::chain;
use floodgate_event::seal::OpeningKey;
use floodgate_routes::Gone;
use floodgate_stream::RegionConnection;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::canary::Controller;
use super::checker::{Checker, CheckerError};
use super::distribute::Distributor;
use super::reconcile::Reconciler;
use super::regions::RegionProbe;
use super::routing::{RoutedRevisions, Router};
use super::store::Store;
use super::vault::Vault;
use super::{Control, Inner, Metrics, RegionKeys, StoreError};

/// The wait between attempts to read the configuration when the relay starts before the centre.
const START_PAUSE: Duration = Duration::from_secs(1);

/// What the control plane needs of the process that it runs in.
pub struct Dependencies {
    /// The centre's JetStream. Its buckets exist already, or will soon.
    pub centre: Context,
    /// The regions to distribute the configuration to, reachable or not.
    pub regions: Vec<RegionConnection>,
    /// The centre's private key, which opens its own copies of secrets.
    pub opening_key: OpeningKey,
    /// The regions' public keys. The secrets of sources are sealed to them.
    pub region_keys: RegionKeys,
    /// The deployment's number of shards.
    pub shards: ShardCount,
    /// True while this relay writes to regions. Of several relays one does: the writer of shard 0.
    pub may_write: watch::Receiver<bool>,
    /// The program that checks a component, and its arguments. Empty for this program's own `handler check`.
    pub check_command: Vec<String>,
    /// Destinations to disable, because they answered 410.
    pub disable: mpsc::Receiver<Gone>,
    /// Which addresses deliveries may reach. A change that points elsewhere is answered with a warning.
    pub guard: SsrfGuard,
    /// The clock that dates what is written.
    pub clock: Clock,
    /// The metrics that the control plane keeps up to date.
    pub metrics: Metrics,
    /// Bugs that a test injects.
    #[cfg(test)]
    pub(crate) faults: super::fault_injection::Faults,
    /// Cancelled to end every background task.
    pub shutdown: CancellationToken,
}

impl Control {
    /// Reads the configuration, and starts to follow it. Waits for the centre as long as it takes. The routes
    /// are complete when this returns.
    ///
    /// # Errors
    /// If this version cannot read the stored configuration, no component can be checked, or `shutdown` came
    /// first.
    pub async fn start(with: Dependencies) -> Result<Self, StartError> {
        let checker = Checker::new(with.check_command)?;
        let store = Arc::new(open(&with.centre, &with.metrics, &with.shutdown).await?);
        let vault = Arc::new(Vault::new(with.opening_key, with.region_keys));
        let mut router = Router::new(vault.clone());
        let opened = tokio::task::block_in_place(|| router.routes(store.latest()));
        with.metrics.set_held_destinations(opened.without_secrets().count());
        let (routes, route_changes) = watch::channel(opened);
        let routed = RoutedRevisions::new(store.clone(), with.shards, with.metrics.clone());

        let background = Background {
            store: store.clone(),
            centre: with.centre.clone(),
            shards: with.shards,
            may_write: with.may_write,
            clock: with.clock.clone(),
            tracker: TaskTracker::new(),
            shutdown: with.shutdown.clone(),
        };
        let regions: Vec<_> = with.regions.into_iter().map(|region| background.distribute(region)).collect();
        let reconciler = Arc::new(Reconciler {
            store: store.clone(),
            vault: vault.clone(),
            clock: with.clock.clone(),
            metrics: with.metrics,
            #[cfg(test)]
            faults: with.faults,
        });
        background.spawn(reconciler.clone().follow_store());
        background.spawn(reconciler.clone().update_routes(router, routes));
        background.spawn(routed.clone().follow());
        background.spawn(reconciler.clone().reseal_secrets(background.may_write.clone()));
        background.advance_canaries(regions.clone());
        background.spawn(reconciler.disable_destinations(with.disable));
        background.tracker.close();

        Ok(Self(Arc::new(Inner {
            store,
            vault,
            checker,
            centre: with.centre,
            regions,
            guard: with.guard,
            clock: with.clock,
            routes: route_changes,
            routed,
            tasks: background.tracker,
            shutdown: with.shutdown,
            #[cfg(test)]
            faults: with.faults,
        })))
    }
}

/// Spawns the tasks that run until `shutdown`.
struct Background {
    store: Arc<Store>,
    centre: Context,
    shards: ShardCount,
    may_write: watch::Receiver<bool>,
    clock: Clock,
    tracker: TaskTracker,
    shutdown: CancellationToken,
}

impl Background {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.shutdown.clone();
        self.tracker.spawn(async move {
            shutdown.run_until_cancelled(task).await;
        });
    }

    /// Starts to distribute the configuration to a region. Returns the probe that shows how far it got there.
    fn distribute(&self, region: RegionConnection) -> RegionProbe {
        let failure = watch::Sender::new(None);
        let probe = RegionProbe {
            name: region.name.clone(),
            context: region.context.clone(),
            failure: failure.subscribe(),
            clock: self.clock.clone(),
        };
        self.spawn(
            Distributor {
                region,
                centre: self.centre.clone(),
                shards: self.shards,
                configuration: self.store.subscribe(),
                store: self.store.clone(),
                may_write: self.may_write.clone(),
                clock: self.clock.clone(),
                failure,
                unsealed_since: None,
                component_missing_since: None,
            }
            .run(),
        );
        probe
    }

    fn advance_canaries(&self, regions: Vec<RegionProbe>) {
        let (store, may_write, clock) = (self.store.clone(), self.may_write.clone(), self.clock.clone());
        self.spawn(Controller { store, regions, may_write, clock }.run());
    }
}

/// Opens the store, however long the centre is away. An error that waiting cannot mend ends it.
async fn open(
    centre: &Context,
    metrics: &Metrics,
    shutdown: &CancellationToken,
) -> Result<Store, StartError> {
    loop {
        match Store::open(centre.clone(), metrics.clone()).await {
            Ok(store) => return Ok(store),
            Err(error @ (StoreError::Format(_) | StoreError::Deleted)) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(error = chain(&error), "waiting for the configuration in the centre")
            }
        }
        if shutdown.run_until_cancelled(tokio::time::sleep(START_PAUSE)).await.is_none() {
            return Err(StartError::Stopped);
        }
    }
}

/// Why the control plane did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The stored configuration was deleted, or this version cannot read it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no program that could check components.
    #[error(transparent)]
    Checker(#[from] CheckerError),
    /// The relay was stopped before the centre answered.
    #[error("stopped while waiting for the configuration in the centre")]
    Stopped,
}
