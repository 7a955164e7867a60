//! The regions' public keys, which may be replaced while the relay runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use floodgate_event::Name;
use floodgate_event::seal::SealingKey;
use tokio::sync::watch;

/// Whom sources' secrets are sealed to, by region. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct RegionKeys(Arc<watch::Sender<BTreeMap<Name, SealingKey>>>);

impl RegionKeys {
    /// As they are at first.
    pub fn new(keys: BTreeMap<Name, SealingKey>) -> Self {
        Self(Arc::new(watch::Sender::new(keys)))
    }

    /// Takes others. Returns whether any is another one.
    pub fn replace(&self, keys: BTreeMap<Name, SealingKey>) -> bool {
        self.0.send_if_modified(|current| {
            let differs = *current != keys;
            *current = keys;
            differs
        })
    }

    /// Tells when they change.
    pub(super) fn subscribe(&self) -> watch::Receiver<BTreeMap<Name, SealingKey>> {
        self.0.subscribe()
    }

    /// As they are now.
    pub(super) fn now(&self) -> BTreeMap<Name, SealingKey> {
        self.0.borrow().clone()
    }
}
