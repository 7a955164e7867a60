//! Binds handlers to sources: one [`Version`] for all sources that bind it, which is kept when the
//! configuration changes.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use floodgate_event::snapshot::Binding;
use floodgate_event::{Digest256, Name, Secret, rollout};
use floodgate_sandbox::{Granted, OutOfRange, UnknownKey};

use super::components::Components;
use crate::chain::{BoundHandler, Chain, Comparison, LogSender, Trial, Version, VersionId, Versions};

/// Loads and binds handlers, and keeps the comparisons that are in use.
pub(super) struct Binder {
    components: Components,
    versions: Versions,
    logs: LogSender,
    comparisons: HashMap<(Name, u64), Weak<Comparison>>,
}

/// Versions and comparisons that a configuration uses.
#[derive(Default)]
pub(super) struct InUse {
    pub(super) versions: Vec<Arc<Version>>,
    pub(super) comparisons: Vec<Arc<Comparison>>,
}

impl InUse {
    /// Adds what one more source uses.
    pub(super) fn add(&mut self, other: Self) {
        other.versions.iter().for_each(|version| keep(&mut self.versions, version));
        other.comparisons.iter().for_each(|comparison| keep(&mut self.comparisons, comparison));
    }

    /// Returns what a chain from an earlier snapshot uses. Its trials are not compared any more.
    pub(super) fn of(chain: &Chain) -> Self {
        Self { versions: chain.versions().map(Arc::clone).collect(), comparisons: Vec::new() }
    }
}

impl Binder {
    pub(super) fn new(components: Components, versions: Versions, logs: LogSender) -> Self {
        Self { components, versions, logs, comparisons: HashMap::new() }
    }

    /// The handlers that are loaded, by digest.
    pub(super) fn components(&mut self) -> &mut Components {
        &mut self.components
    }

    pub(super) fn logs(&self) -> LogSender {
        self.logs.clone()
    }

    /// Binds a handler whose component is loaded.
    pub(super) fn bind(
        &mut self,
        binding: &Binding,
        keys: &HashMap<Name, Secret>,
        used: &mut InUse,
    ) -> Result<BoundHandler, BindError> {
        let Binding { name, version, digest, .. } = binding;
        let counter = |counter: &Name| self.versions.engine().counter(name, counter);
        let granted = Granted::new(&binding.grants, keys, counter)?;
        let id = VersionId { name: name.clone(), version: *version, digest: *digest };
        Ok(BoundHandler {
            version: self.version(&id, used)?,
            params: serde_json::Value::Object(binding.params.clone()).to_string(),
            granted: Arc::new(granted),
            limits: self.versions.engine().resolve(&binding.limits)?,
            on_fault: binding.on_fault,
            trial: match &binding.trial {
                Some(trial) => {
                    let granted = Granted::uncounted(&binding.grants, keys)?;
                    Some(self.trial(name, trial, granted, used)?)
                }
                None => None,
            },
        })
    }

    fn trial(
        &mut self,
        name: &Name,
        trial: &rollout::Trial,
        granted: Granted,
        used: &mut InUse,
    ) -> Result<Trial, BindError> {
        let id = VersionId { name: name.clone(), version: trial.version, digest: trial.digest };
        let version = self.version(&id, used)?;
        let key = (name.clone(), trial.id);
        let comparison = match self.comparisons.get(&key).and_then(Weak::upgrade) {
            Some(comparison) => comparison,
            None => Arc::new(Comparison::new(name.clone(), trial.id)),
        };
        self.comparisons.insert(key, Arc::downgrade(&comparison));
        keep(&mut used.comparisons, &comparison);
        Ok(Trial::new(trial.clone(), version, Arc::new(granted), comparison))
    }

    fn version(&self, id: &VersionId, used: &mut InUse) -> Result<Arc<Version>, BindError> {
        let handler = self.components.get(&id.digest).ok_or(BindError::Unlisted(id.digest))?;
        let version = self.versions.share(id, handler);
        keep(&mut used.versions, &version);
        Ok(version)
    }

    /// Drops what nothing uses any more, not even a request under way.
    pub(super) fn sweep(&mut self) {
        self.comparisons.retain(|_, comparison| comparison.strong_count() > 0);
    }
}

fn keep<T>(kept: &mut Vec<Arc<T>>, one: &Arc<T>) {
    if !kept.iter().any(|other| Arc::ptr_eq(other, one)) {
        kept.push(Arc::clone(one));
    }
}

/// Why a handler cannot be bound. The centre checks all of this, except against this gateway's own maxima.
#[derive(Debug, thiserror::Error)]
pub(super) enum BindError {
    #[error("handler {0} is bound, and the snapshot does not list it")]
    Unlisted(Digest256),
    #[error(transparent)]
    Key(#[from] UnknownKey),
    #[error(transparent)]
    Limits(#[from] OutOfRange),
}
