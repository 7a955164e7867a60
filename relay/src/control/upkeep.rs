//! What the control plane does by itself when the configuration changes.

use std::sync::Arc;
use std::time::Duration;

use floodgate_event::Name;
use floodgate_event::causes::chain;
use tokio::sync::{mpsc, watch};

use super::routing;
use super::store::Store;
use super::vault::Vault;
use crate::destination::Routes;

/// The wait before something that failed is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// Keeps routes, seals and disabled destinations in step with the configuration.
pub(crate) struct Upkeep {
    pub(crate) store: Arc<Store>,
    pub(crate) vault: Arc<Vault>,
}

impl Upkeep {
    /// Follows what other relays change.
    pub(crate) async fn follow(self: Arc<Self>) {
        self.store.follow().await;
    }

    /// Opens the destinations of each new configuration. Those that cannot be opened leave the last routes in
    /// force: without them events would be passed by.
    pub(crate) async fn routes(self: Arc<Self>, routes: watch::Sender<Arc<Routes>>) {
        let mut changes = self.store.subscribe();
        loop {
            let configuration = changes.borrow_and_update().clone();
            match routing::routes(&configuration, &self.vault) {
                Ok(opened) => drop(routes.send_replace(Arc::new(opened))),
                Err(error) => {
                    let revision = configuration.revision;
                    tracing::error!(
                        revision,
                        error = chain(&error),
                        "forwarding goes on with the routes before this"
                    );
                }
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Seals sources' secrets to regions that were added or got a new key, also when a relay that does not know
    /// them yet has changed the configuration.
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
        let resealed = self.store.change(|configuration| Ok(self.vault.reseal(configuration)?)).await;
        match resealed {
            Ok(changed) => {
                tracing::info!(
                    revision = changed.after.revision,
                    "sealed the sources' secrets to new region keys"
                );
                true
            }
            Err(error) => {
                tracing::error!(error = chain(&error), "cannot seal the sources' secrets to new region keys");
                false
            }
        }
    }

    /// Disables destinations as they are named. One whose turn a crash takes answers 410 to its next attempt too.
    pub(crate) async fn disable(self: Arc<Self>, mut names: mpsc::Receiver<Name>) {
        while let Some(name) = names.recv().await {
            while !self.try_disable(&name).await {
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }

    async fn try_disable(&self, name: &Name) -> bool {
        let disable = self.store.change(|configuration| {
            configuration.disable_destination(name);
            Ok(())
        });
        match disable.await {
            Ok(changed) => {
                let revision = changed.after.revision;
                tracing::warn!(destination = %name, revision, "disabled: it answered 410");
                true
            }
            Err(error) => {
                tracing::warn!(destination = %name, error = chain(&error), "cannot disable");
                false
            }
        }
    }
}
