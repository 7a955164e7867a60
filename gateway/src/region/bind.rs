//! Binds handlers to sources: one [`Version`] for all sources that bind it, kept
//! over changes of configuration.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use floodgate_event::snapshot::{Binding, Digest256};
use floodgate_event::{Name, Secret, rollout};

use super::components::Components;
use crate::chain::{Chain, Link, Score, Tap, Trial, Version, VersionId, Versions};
use floodgate_sandbox::{Granted, OutOfRange, UnknownKey};

/// Binds, and knows the scores that are in use.
pub(super) struct Binder {
    versions: Versions,
    tap: Tap,
    scores: HashMap<(Name, u64), Weak<Score>>,
}

/// Versions and scores that a configuration uses.
#[derive(Default)]
pub(super) struct InUse {
    pub(super) versions: Vec<Arc<Version>>,
    pub(super) scores: Vec<Arc<Score>>,
}

impl InUse {
    /// Takes in what one more source uses.
    pub(super) fn add(&mut self, other: Self) {
        other.versions.iter().for_each(|version| keep(&mut self.versions, version));
        other.scores.iter().for_each(|score| keep(&mut self.scores, score));
    }

    /// What a chain uses that was bound for an earlier snapshot. What it tries is not scored any more.
    pub(super) fn of(chain: &Chain) -> Self {
        Self { versions: chain.versions().map(Arc::clone).collect(), scores: Vec::new() }
    }
}

impl Binder {
    pub(super) fn new(versions: Versions, tap: Tap) -> Self {
        Self { versions, tap, scores: HashMap::new() }
    }

    pub(super) fn tap(&self) -> Tap {
        self.tap.clone()
    }

    /// Binds a handler whose component is loaded.
    pub(super) fn link(
        &mut self,
        binding: &Binding,
        keys: &HashMap<Name, Secret>,
        components: &Components,
        used: &mut InUse,
    ) -> Result<Link, BindError> {
        let Binding { name, version, digest, .. } = binding;
        let counter = |counter: &Name| self.versions.engine().counter(name, counter);
        let granted = Granted::new(&binding.grants, keys, counter)?;
        let id = VersionId { name: name.clone(), version: *version, digest: *digest };
        Ok(Link {
            version: self.version(&id, components, used)?,
            params: serde_json::Value::Object(binding.params.clone()).to_string(),
            granted: Arc::new(granted),
            limits: self.versions.engine().resolve(&binding.limits)?,
            on_fault: binding.on_fault,
            trial: match &binding.trial {
                Some(trial) => {
                    let granted = Granted::uncounted(&binding.grants, keys)?;
                    Some(self.trial(name, trial, granted, components, used)?)
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
        components: &Components,
        used: &mut InUse,
    ) -> Result<Trial, BindError> {
        let id = VersionId { name: name.clone(), version: trial.version, digest: trial.digest };
        let version = self.version(&id, components, used)?;
        let key = (name.clone(), trial.id);
        let score = match self.scores.get(&key).and_then(Weak::upgrade) {
            Some(score) => score,
            None => Arc::new(Score::new(name.clone(), trial.id)),
        };
        self.scores.insert(key, Arc::downgrade(&score));
        keep(&mut used.scores, &score);
        Ok(Trial::new(trial.clone(), version, Arc::new(granted), score))
    }

    fn version(
        &self,
        id: &VersionId,
        components: &Components,
        used: &mut InUse,
    ) -> Result<Arc<Version>, BindError> {
        let handler = components.get(&id.digest).ok_or(BindError::Unlisted(id.digest))?;
        let version = self.versions.share(id, handler);
        keep(&mut used.versions, &version);
        Ok(version)
    }

    /// Forgets what nothing uses any more, not even a request under way.
    pub(super) fn sweep(&mut self) {
        self.scores.retain(|_, score| score.strong_count() > 0);
    }
}

fn keep<T>(kept: &mut Vec<Arc<T>>, one: &Arc<T>) {
    if !kept.iter().any(|other| Arc::ptr_eq(other, one)) {
        kept.push(Arc::clone(one));
    }
}

/// Why a handler cannot be bound. The centre checks all but what this gateway's own maxima are.
#[derive(Debug, thiserror::Error)]
pub(super) enum BindError {
    #[error("handler {0} is bound, and the snapshot does not list it")]
    Unlisted(Digest256),
    #[error(transparent)]
    Key(#[from] UnknownKey),
    #[error(transparent)]
    Limits(#[from] OutOfRange),
}
