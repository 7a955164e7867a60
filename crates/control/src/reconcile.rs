//! Reconciles what is derived from the configuration with each new revision: routes, the seals of secrets,
//! and destinations that answered 410. Nothing here is durable but the changes that it makes to the
//! configuration; a restart reconciles from the latest revision again.

use std::sync::Arc;
use std::time::Duration;

use floodgate_clock::Clock;
use floodgate_event::causes::chain;
use floodgate_routes::{Gone, Routes};
use tokio::sync::{mpsc, watch};

use super::metrics::Metrics;
use super::routing::Router;
use super::store::Store;
use super::vault::Vault;

/// The wait before something that failed is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// Keeps routes and seals in step with the configuration, and disables destinations that answered 410.
pub(crate) struct Reconciler {
    pub(crate) store: Arc<Store>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    #[cfg(test)]
    pub(crate) faults: super::fault_injection::Faults,
}

impl Reconciler {
    /// Follows the changes that other relays make.
    pub(crate) async fn follow_store(self: Arc<Self>) {
        self.store.follow().await;
    }

    /// Replaces the routes at each new revision.
    pub(crate) async fn update_routes(
        self: Arc<Self>,
        mut router: Router,
        routes: watch::Sender<Arc<Routes>>,
    ) {
        let mut changes = self.store.subscribe();
        loop {
            let configuration = changes.borrow_and_update().clone();
            if configuration.revision != routes.borrow().revision {
                #[cfg(test)]
                self.faults.before_opening(&configuration, &routes).await;
                let opened = tokio::task::block_in_place(|| router.routes(configuration));
                self.metrics.set_held_destinations(opened.without_secrets().count());
                routes.send_replace(opened);
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Seals sources' secrets to regions that were added or got a new key, also when a relay that does not
    /// know them yet has changed the configuration.
    pub(crate) async fn reseal_secrets(self: Arc<Self>, mut may_write: watch::Receiver<bool>) {
        let (mut changes, mut keys) = (self.store.subscribe(), self.vault.key_changes());
        while may_write.wait_for(|may| *may).await.is_ok() {
            let configuration = changes.borrow_and_update().clone();
            if self.vault.must_reseal(&configuration) && !self.reseal().await {
                tokio::time::sleep(RETRY_PAUSE).await;
                changes.mark_changed();
            }
            let changed = tokio::select! {
                changed = changes.changed() => changed,
                changed = keys.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    async fn reseal(&self) -> bool {
        let resealed = self.store.change(|configuration| Ok(self.vault.reseal(configuration))).await;
        match resealed {
            Ok(changed) => {
                let revision = changed.after.revision;
                if changed.before.revision != revision {
                    tracing::info!(revision, "sealed the sources' secrets to new region keys");
                }
                for (source, error) in &changed.value {
                    tracing::error!(
                        %source,
                        error = chain(error),
                        "its secrets cannot be sealed to a region's key: put the source again, with its secrets"
                    );
                }
                true
            }
            Err(error) => {
                tracing::error!(error = chain(&error), "cannot seal the sources' secrets to new region keys");
                false
            }
        }
    }

    /// Disables destinations that answered 410. If a crash loses one, it answers 410 to its next attempt too.
    pub(crate) async fn disable_destinations(self: Arc<Self>, mut gone: mpsc::Receiver<Gone>) {
        while let Some(gone) = gone.recv().await {
            while !self.try_disable(&gone).await {
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }

    async fn try_disable(&self, gone: &Gone) -> bool {
        let now_us = self.clock.now_us();
        let disable = self.store.change(|configuration| {
            configuration.disable_destination(gone, now_us);
            Ok(())
        });
        let destination = &gone.destination;
        match disable.await {
            Ok(changed) if changed.before.revision == changed.after.revision => {
                tracing::debug!(%destination, "not disabled: it is already, or was put after it answered 410");
                true
            }
            Ok(changed) => {
                let revision = changed.after.revision;
                tracing::warn!(%destination, revision, "disabled: it answered 410. Its deliveries are held");
                true
            }
            Err(error) => {
                tracing::warn!(%destination, error = chain(&error), "cannot disable");
                false
            }
        }
    }
}
