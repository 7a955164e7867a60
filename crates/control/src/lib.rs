//! The control plane: it keeps the configuration of a deployment in the centre, and brings each revision of
//! it to the regions' gateways and to the writers of the shards.
//!
//! A change takes this way:
//!
//! 1. [`Control::put_source`] and its siblings compare the [`Precondition`], apply a pure function to the
//!    whole document, validate the result, and write it by compare-and-set. The change is durable once the
//!    centre's bucket has acknowledged it. Before that nothing has changed.
//! 2. Every relay follows the bucket. It opens the destinations of the new revision, and replaces its routes
//!    in one step. The writer of each shard then records the revision that it routes by.
//! 3. The relay that writes shard 0 copies components to each region, and then the region's snapshot.
//! 4. [`Control::wait_until_propagated`] waits until shards and gateways have followed.
//!
//! Routes and snapshots are derived from the document, and made again at each start. A crash therefore leaves
//! the old revision or the new one, and at most a component that no version names.

mod canary;
mod change;
mod checker;
mod commands;
mod components;
pub mod configuration;
mod distribute;
mod error;
#[cfg(test)]
mod fault_injection;
mod metrics;
mod precondition;
mod propagation;
mod reconcile;
mod region_keys;
mod region_snapshot;
mod regions;
mod replay;
mod rollout;
mod routing;
mod start;
mod store;
mod validation;
mod vault;
pub mod view;
pub mod warnings;

// To start it.
pub use metrics::Metrics;
pub use region_keys::RegionKeys;
pub use start::{Dependencies, StartError};

// To change the configuration.
pub use change::{Kind, Refused};
pub use checker::{CheckError, CheckerError};
pub use commands::{Mode, UploadError, Uploaded};
pub use components::{ComponentError, MAX_COMPONENT_BYTES};
pub use error::{BindingError, ChangeError, StoreError};
pub use precondition::{Precondition, Tags};
pub use store::Changed;

// To see what is configured, and where it has arrived.
pub use configuration::Configuration;
pub use propagation::Scope;
pub use regions::{ReceivedReport, Reports};
pub use replay::PinnedVersion;
pub use routing::{Announcer, RoutedRevision};

use std::collections::BTreeMap;
use std::sync::Arc;

use async_nats::jetstream::Context;
use floodgate_api::region::Region;
use floodgate_clock::Clock;
use floodgate_egress::SsrfGuard;
use floodgate_event::source::Locator;
use floodgate_event::{Name, ShardCount, ShardId};
use floodgate_routes::Routes;
use futures::future::join_all;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::checker::Checker;
use self::regions::RegionProbe;
use self::routing::RoutedRevisions;
use self::store::Store;
use self::vault::Vault;

/// The running control plane. Cheap to clone.
#[derive(Clone)]
pub struct Control(Arc<Inner>);

struct Inner {
    store: Arc<Store>,
    vault: Arc<Vault>,
    checker: Checker,
    centre: Context,
    regions: Vec<RegionProbe>,
    guard: SsrfGuard,
    clock: Clock,
    routes: watch::Receiver<Arc<Routes>>,
    routed: RoutedRevisions,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    #[cfg(test)]
    faults: fault_injection::Faults,
}

impl Control {
    /// Follows the destinations for matching and delivery. They are replaced as a whole at each revision.
    pub fn routes(&self) -> watch::Receiver<Arc<Routes>> {
        self.0.routes.clone()
    }

    /// Makes the announcer of a shard, which records the revision that this process routes the shard by.
    /// `relay` names this process to people.
    pub fn announcer(&self, shard: ShardId, relay: String) -> Announcer {
        Announcer {
            centre: self.0.centre.clone(),
            shard,
            relay,
            store: self.0.store.clone(),
            routes: self.routes(),
            #[cfg(test)]
            faults: self.0.faults,
        }
    }

    /// The revision that each shard is routed by, as its writer recorded it. A shard that no writer has
    /// recorded yet is missing.
    pub fn routed_revisions(&self) -> BTreeMap<ShardId, RoutedRevision> {
        self.0.routed.latest()
    }

    /// The deployment's number of shards.
    pub fn shards(&self) -> ShardCount {
        self.0.routed.shards()
    }

    /// The clock that dates what the control plane writes.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Returns true if the centre answered when it was last asked, at most some seconds ago.
    pub fn is_ready(&self) -> bool {
        self.0.store.is_reachable()
    }

    /// Completes when the relay begins to stop.
    pub fn stopping(&self) -> impl Future<Output = ()> + Send + use<> {
        self.0.shutdown.clone().cancelled_owned()
    }

    /// Waits after a shutdown until every background task has ended.
    pub async fn stopped(&self) {
        self.0.tasks.wait().await;
    }

    /// The latest configuration that this process has read.
    pub fn configuration(&self) -> Arc<Configuration> {
        self.0.store.latest()
    }

    /// What the source was ordered by when it was last configured, also if it was deleted since. `None` if
    /// the kept revisions do not have the source.
    ///
    /// # Errors
    /// If the source is not configured now and the centre's earlier revisions cannot be read.
    pub async fn last_order_by(&self, name: &Name) -> Result<Option<Option<Locator>>, StoreError> {
        let order_by = |configuration: &Configuration| {
            configuration.sources.get(name).map(|source| source.intake.order_by.clone())
        };
        match order_by(&self.configuration()) {
            Some(known) => Ok(Some(known)),
            None => self.0.store.find_in_history(order_by).await,
        }
    }

    /// Asks every region for its revision, and for what its gateways serve.
    pub async fn regions(&self) -> Vec<Region> {
        join_all(self.0.regions.iter().map(RegionProbe::status)).await
    }

    /// Asks every region for the reports of its gateways. `None` if the region does not answer.
    pub async fn reports(&self) -> Vec<(Name, Option<Reports>)> {
        let ask = |region: &RegionProbe| {
            let region = region.clone();
            async move { (region.name.clone(), region.reports().await) }
        };
        join_all(self.0.regions.iter().map(ask)).await
    }

    /// The NATS connections to all regions, each with its region's name.
    pub fn region_clients(&self) -> impl Iterator<Item = (&Name, async_nats::Client)> {
        self.0.regions.iter().map(|region| (&region.name, region.context.client()))
    }
}

#[cfg(test)]
mod tests;
