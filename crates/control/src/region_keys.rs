//! The regions' public keys, which may be replaced while the relay runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use floodgate_event::Name;
use floodgate_event::seal::SealingKey;
use tokio::sync::watch;

/// The public key of each region. The secrets of sources are sealed to them. Clones share the keys.
#[derive(Clone, Debug, Default)]
pub struct RegionKeys(Arc<watch::Sender<BTreeMap<Name, SealingKey>>>);

impl RegionKeys {
    /// The keys that the relay starts with.
    pub fn new(keys: BTreeMap<Name, SealingKey>) -> Self {
        Self(Arc::new(watch::Sender::new(keys)))
    }

    /// Replaces the keys. Returns true if any changed. Secrets are then sealed to the new ones.
    pub fn replace(&self, keys: BTreeMap<Name, SealingKey>) -> bool {
        self.0.send_if_modified(|current| {
            let differs = *current != keys;
            *current = keys;
            differs
        })
    }

    /// Follows the keys as they are replaced.
    pub(crate) fn subscribe(&self) -> watch::Receiver<BTreeMap<Name, SealingKey>> {
        self.0.subscribe()
    }

    /// The keys that are in use now.
    pub(crate) fn now(&self) -> BTreeMap<Name, SealingKey> {
        self.0.borrow().clone()
    }
}
