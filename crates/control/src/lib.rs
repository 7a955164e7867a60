//! The control plane: keeps the configuration in the centre, and brings it to regions and to forwarding.

mod bring;
mod canary;
mod change;
mod checker;
mod components;
pub mod configuration;
mod distribute;
mod fit;
mod in_force;
mod maxima;
mod metrics;
#[cfg(test)]
pub(crate) mod planted;
pub mod precondition;
mod region_keys;
mod regional;
mod regions;
mod rollout;
pub mod routed;
mod routing;
mod store;
mod upkeep;
mod upload;
mod vault;
mod versions;
pub mod view;
pub mod warnings;

pub use bring::Version;
pub use change::{Kind, Refused};
pub use checker::{CheckError, CheckerError};
pub use components::ComponentError;
pub use components::MAX_BYTES as MAX_COMPONENT_BYTES;
pub use configuration::Configuration;
pub use fit::FitError;
pub use in_force::Scope;
pub use metrics::ControlMetrics;
pub use precondition::Precondition;
pub use region_keys::RegionKeys;
pub use regions::Reports;
pub use store::Changed;
pub use store::{ChangeError, StoreError};
pub use upload::UploadError;

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use floodgate_event::Name;
use floodgate_event::causes::chain;
use floodgate_event::seal::OpeningKey;
use floodgate_event::source::Locator;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::canary::Canaries;
use self::checker::Checker;
use self::distribute::Distributor;
use self::regions::Asker;
use self::routed::{Announcer, Routed};
use self::routing::Router;
use self::store::{MAX_CONFLICTS, Store};
use self::upkeep::Upkeep;
use self::vault::Vault;
use floodgate_api::document::{DestinationDocument, SourceDocument};
use floodgate_api::region::Region;
use floodgate_clock::Clock;
use floodgate_egress::SsrfGuard;
use floodgate_routes::{Gone, Routes};

/// The wait between attempts to read the configuration when the relay starts before the centre.
const START_PAUSE: Duration = Duration::from_secs(1);

/// What the control plane works with.
pub struct ControlContext {
    /// The centre, where the buckets exist already or soon will.
    pub centre: Context,
    /// The regions to bring the configuration to, reachable or not.
    pub regions: Vec<RegionLink>,
    /// The centre's private key.
    pub opening_key: OpeningKey,
    /// Whom sources' secrets are sealed to.
    pub region_keys: RegionKeys,
    /// The deployment's number of shards.
    pub shards: u32,
    /// Whether this relay writes to regions; of several relays one does.
    pub may_write: watch::Receiver<bool>,
    /// The program, and its arguments, that checks a component; empty for this program's own `handler check`.
    pub check_command: Vec<String>,
    /// Destinations to disable, because they answered 410.
    pub disable: mpsc::Receiver<Gone>,
    /// Which addresses deliveries may reach, to warn of others.
    pub guard: SsrfGuard,
    /// The time of what it writes.
    pub clock: Clock,
    /// What it shows of itself.
    pub metrics: ControlMetrics,
    /// What a test plants.
    #[cfg(test)]
    pub(crate) planted: planted::Planted,
    /// Ends what [`Control::start`] began.
    pub shutdown: CancellationToken,
}

/// A region and how to reach it.
#[derive(Clone)]
pub struct RegionLink {
    /// The region's name.
    pub name: Name,
    /// The region's NATS.
    pub context: Context,
}

/// The running control plane. Cheap to clone.
#[derive(Clone)]
pub struct Control(Arc<Inner>);

struct Inner {
    store: Arc<Store>,
    vault: Arc<Vault>,
    checker: Checker,
    centre: Context,
    regions: Vec<Asker>,
    guard: SsrfGuard,
    clock: Clock,
    routes: watch::Receiver<Arc<Routes>>,
    routed: Routed,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    #[cfg(test)]
    planted: planted::Planted,
}

/// Whether a change is made or only shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is stored.
    Write,
    /// It is computed and returned, and nothing is stored.
    DryRun,
}

impl Control {
    /// Reads the configuration, waiting for the centre where need be, and starts to keep everything up to
    /// date with it. Routes are right from the first look.
    ///
    /// # Errors
    /// If the stored configuration cannot be read by this version, no check can be
    /// run, or `shutdown` came first.
    pub async fn start(context: ControlContext) -> Result<Self, StartError> {
        let checker = Checker::new(context.check_command)?;
        let vault = Arc::new(Vault::new(context.opening_key, context.region_keys));
        let (metrics, shards, clock) = (context.metrics, context.shards, context.clock);
        let store = Arc::new(open(&context.centre, &metrics, &context.shutdown).await?);
        let mut router = Router::new(vault.clone());
        let opened = tokio::task::block_in_place(|| router.routes(store.latest()));
        metrics.held(opened.unopened().count());
        let routes = watch::Sender::new(opened);
        let routed = Routed::new(context.centre.clone(), shards, store.clone(), metrics.clone());

        let shutdown = context.shutdown;
        let tasks = Tasks { tracker: TaskTracker::new(), shutdown: shutdown.clone() };
        let mut regions = Vec::with_capacity(context.regions.len());
        for region in context.regions {
            let failure = watch::Sender::new(None);
            let (name, link) = (region.name.clone(), region.context.clone());
            regions.push(Asker { name, context: link, failure: failure.subscribe(), clock: clock.clone() });
            let distributor = Distributor {
                region,
                centre: context.centre.clone(),
                shards,
                configuration: store.subscribe(),
                may_write: context.may_write.clone(),
                clock: clock.clone(),
                failure,
                seen: store.seen_elsewhere(),
                unsealed_since: None,
                lacking_since: None,
            };
            tasks.spawn(distributor.run());
        }
        let route_watch = routes.subscribe();
        let upkeep = Arc::new(Upkeep {
            store: store.clone(),
            vault: vault.clone(),
            clock: clock.clone(),
            metrics,
            #[cfg(test)]
            planted: context.planted,
        });
        tasks.spawn(upkeep.clone().follow());
        tasks.spawn(upkeep.clone().routes(router, routes));
        tasks.spawn(routed.clone().follow());
        tasks.spawn(upkeep.clone().seals(context.may_write.clone()));
        let canaries = Canaries {
            store: store.clone(),
            regions: regions.clone(),
            may_write: context.may_write,
            clock: clock.clone(),
        };
        tasks.spawn(canaries.run());
        tasks.spawn(upkeep.disable(context.disable));
        tasks.tracker.close();

        Ok(Self(Arc::new(Inner {
            store,
            vault,
            checker,
            centre: context.centre,
            regions,
            guard: context.guard,
            clock,
            routes: route_watch,
            routed,
            tasks: tasks.tracker,
            shutdown,
            #[cfg(test)]
            planted: context.planted,
        })))
    }

    /// Destinations for forwarding, replaced at every change.
    pub fn routes(&self) -> watch::Receiver<Arc<Routes>> {
        self.0.routes.clone()
    }

    /// Speaks for a shard while this process writes it: says which revision it routes by.
    pub fn announcer(&self, shard: u32, relay: String) -> Announcer {
        Announcer {
            centre: self.0.centre.clone(),
            shard,
            relay,
            store: self.0.store.clone(),
            routes: self.routes(),
            #[cfg(test)]
            planted: self.0.planted,
        }
    }

    /// Which revision each shard is routed by, as its writer says.
    pub fn routed(&self) -> &Routed {
        &self.0.routed
    }

    /// The time of what it writes.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Whether the centre answered when it was last asked, at most some seconds ago.
    pub fn is_ready(&self) -> bool {
        self.0.store.is_reachable()
    }

    /// Ends when the relay is told to stop.
    pub fn stopping(&self) -> impl Future<Output = ()> + Send + use<> {
        self.0.shutdown.clone().cancelled_owned()
    }

    /// Waits until everything that was started has ended, after `shutdown`.
    pub async fn stopped(&self) {
        self.0.tasks.wait().await;
    }

    /// The latest configuration.
    pub fn configuration(&self) -> Arc<Configuration> {
        self.0.store.latest()
    }

    /// What the source was ordered by when it was last configured; none if it is not known ever to have been.
    pub async fn last_order_by(&self, name: &Name) -> Result<Option<Option<Locator>>, StoreError> {
        let order_by = |configuration: &Configuration| {
            configuration.sources.get(name).map(|source| source.intake.order_by.clone())
        };
        match order_by(&self.configuration()) {
            Some(known) => Ok(Some(known)),
            None => self.0.store.last_of(order_by).await,
        }
    }

    /// Creates or replaces a source. Its handlers are asked first whether they take their parameters.
    ///
    /// # Errors
    /// If the precondition fails, the document is refused, or the centre cannot be reached.
    pub async fn put_source(
        &self,
        name: &Name,
        document: &SourceDocument,
        mode: Mode,
        precondition: &Precondition,
    ) -> Result<Changed<()>, ChangeError> {
        self.bind(mode, |configuration| {
            configuration.check(precondition, Kind::Source, name)?;
            configuration.put_source(name, document, &self.0.vault)
        })
        .await
    }

    /// Creates or replaces a destination.
    ///
    /// # Errors
    /// As [`Self::put_source`].
    pub async fn put_destination(
        &self,
        name: &Name,
        document: &DestinationDocument,
        mode: Mode,
        precondition: &Precondition,
    ) -> Result<Changed<()>, ChangeError> {
        self.change(mode, |configuration| {
            configuration.check(precondition, Kind::Destination, name)?;
            configuration.put_destination(name, document, &self.0.vault)
        })
        .await
    }

    /// Deletes an object that nothing uses.
    ///
    /// # Errors
    /// As [`Self::put_source`], and if there is none of this name or something uses it.
    pub async fn delete(
        &self,
        kind: Kind,
        name: &Name,
        precondition: &Precondition,
    ) -> Result<Changed<()>, ChangeError> {
        self.change(Mode::Write, |configuration| {
            configuration.check(precondition, kind, name)?;
            match kind {
                Kind::Source => configuration.delete_source(name),
                Kind::Destination => configuration.delete_destination(name),
                Kind::Handler => configuration.delete_handler(name),
            }
        })
        .await
    }

    /// What gateways report, by region; none of those that do not answer.
    pub async fn reports(&self) -> Vec<(Name, Option<Reports>)> {
        let ask = |asker: &Asker| {
            let asker = asker.clone();
            async move { (asker.name.clone(), asker.reports().await) }
        };
        futures::future::join_all(self.0.regions.iter().map(ask)).await
    }

    /// The connections to all regions.
    pub fn region_clients(&self) -> impl Iterator<Item = (&Name, async_nats::Client)> {
        self.0.regions.iter().map(|asker| (&asker.name, asker.context.client()))
    }

    /// What every region has and serves.
    pub async fn regions(&self) -> Vec<Region> {
        futures::future::join_all(self.0.regions.iter().map(Asker::ask)).await
    }

    /// A snapshot that does not fit its message would keep back all that is changed after it. It may be
    /// larger than what it is made from: each binding is resolved to a version there.
    fn check_snapshots(&self, after: &Configuration) -> Result<(), Refused> {
        // They differ by their region's name alone.
        let regions = self.0.regions.iter().map(|region| &region.name);
        let Some(region) = regions.max_by_key(|name| name.as_str().len()) else { return Ok(()) };
        regional::check_size(after, region, self.0.routed.shards())
    }

    async fn change<T>(
        &self,
        mode: Mode,
        apply: impl Fn(&mut Configuration) -> Result<T, Refused>,
    ) -> Result<Changed<T>, ChangeError> {
        match mode {
            Mode::Write => self.0.store.change(apply).await,
            Mode::DryRun => self.0.store.preview(apply).await,
        }
    }

    /// A change that may bind handlers anew: they are asked first whether they take their parameters.
    async fn bind<T>(
        &self,
        mode: Mode,
        apply: impl Fn(&mut Configuration) -> Result<T, Refused>,
    ) -> Result<Changed<T>, ChangeError> {
        for _ in 0..MAX_CONFLICTS {
            let preview = self.0.store.preview(&apply).await?;
            self.check_snapshots(&preview.after)?;
            self.check_maxima(&preview.before, &preview.after).await.map_err(Refused::from)?;
            self.check_fit(&preview.before, &preview.after).await?;
            if mode == Mode::DryRun {
                return Ok(preview);
            }
            // What was checked is what is written: another change meanwhile is looked
            // at together with this one.
            let checked = preview.before.revision;
            let changed = self.0.store.change(|configuration| match configuration.revision == checked {
                true => apply(configuration),
                false => Err(Refused::Moved),
            });
            match changed.await {
                Err(ChangeError::Refused(Refused::Moved)) => {}
                settled => return settled,
            }
        }
        Err(StoreError::Busy.into())
    }
}

/// What runs until `shutdown`.
struct Tasks {
    tracker: TaskTracker,
    shutdown: CancellationToken,
}

impl Tasks {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.shutdown.clone();
        self.tracker.spawn(async move {
            shutdown.run_until_cancelled(task).await;
        });
    }
}

/// Waits for the centre, however long it takes; what waiting does not mend ends it.
async fn open(
    centre: &Context,
    metrics: &ControlMetrics,
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
    /// The stored configuration cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Components cannot be checked.
    #[error(transparent)]
    Checker(#[from] CheckerError),
    /// The relay was stopped first.
    #[error("stopped while waiting for the configuration in the centre")]
    Stopped,
}

#[cfg(test)]
pub mod tests;
