//! What the control plane does by itself when the configuration changes.

use std::sync::Arc;
use std::time::Duration;

use floodgate_clock::Clock;
use floodgate_event::causes::chain;
use floodgate_routes::{Gone, Routes};
use tokio::sync::{mpsc, watch};

use super::metrics::ControlMetrics;
use super::routing::Router;
use super::store::Store;
use super::vault::Vault;

/// The wait before something that failed is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// Keeps routes, seals and disabled destinations in step with the configuration.
pub(crate) struct Upkeep {
    pub(crate) store: Arc<Store>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) clock: Clock,
    pub(crate) metrics: ControlMetrics,
    #[cfg(test)]
    pub(crate) planted: super::planted::Planted,
}

impl Upkeep {
    /// Follows what other relays change.
    pub(crate) async fn follow(self: Arc<Self>) {
        self.store.follow().await;
    }

    /// Makes routes of each new configuration.
    pub(crate) async fn routes(self: Arc<Self>, mut router: Router, routes: watch::Sender<Arc<Routes>>) {
        let mut changes = self.store.subscribe();
        loop {
            let configuration = changes.borrow_and_update().clone();
            if configuration.revision != routes.borrow().revision {
                #[cfg(test)]
                self.planted.before_opening(&configuration, &routes).await;
                let opened = tokio::task::block_in_place(|| router.routes(configuration));
                self.metrics.held(opened.unopened().count());
                routes.send_replace(opened);
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Seals sources' secrets to regions that were added or got a new key, also when a relay that does not
    /// know them yet has changed the configuration.
    pub(crate) async fn seals(self: Arc<Self>, mut may_write: watch::Receiver<bool>) {
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

    /// Disables destinations as they are named. One whose turn a crash takes answers
    /// 410 to its next attempt too.
    pub(crate) async fn disable(self: Arc<Self>, mut gone: mpsc::Receiver<Gone>) {
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
