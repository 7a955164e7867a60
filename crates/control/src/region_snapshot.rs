//! Builds the snapshot of a region: what its gateways need of the configuration, with each binding resolved
//! to a version, and secrets sealed to this region alone.

use std::collections::BTreeMap;

use floodgate_api::document::HandlerDocument;
use floodgate_event::document::MAX_BYTES;
use floodgate_event::rollout::Trial;
use floodgate_event::snapshot::{Binding, Component, SealedSecret, Snapshot, Source};
use floodgate_event::{Digest256, Name, ShardCount};

use super::change::Refused;
use super::configuration::{self, Configuration, StoredSecret, Version};

/// A region's snapshot, as far as it can be built.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Built {
    pub(crate) snapshot: Snapshot,
    /// The sources whose secrets are not all sealed to this region. The snapshot holds the secrets that are.
    /// After a region was added, the relay that may write seals the others within moments, unless the centre
    /// cannot open them itself.
    pub(crate) unsealed: Vec<Name>,
}

/// Why a snapshot cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BuildError {
    /// Changes are checked for this, so that the document itself is broken.
    #[error("source `{source_name}` binds handler `{handler}`, and there is no such version")]
    NoVersion { source_name: Name, handler: Name },
}

/// Builds a region's snapshot. The same configuration makes the same one, except for `created_at_us`.
pub(crate) fn build(
    configuration: &Configuration,
    region: &Name,
    shards: ShardCount,
    created_at_us: u64,
) -> Result<Built, BuildError> {
    let mut sources = BTreeMap::new();
    let mut handlers = BTreeMap::new();
    let mut unsealed = Vec::new();
    for (name, stored) in &configuration.sources {
        let source = source(configuration, name, stored, region, &mut handlers)?;
        if source.secrets.len() < stored.secrets.len() || source.keys.len() < stored.keys.len() {
            unsealed.push(name.clone());
        }
        sources.insert(name.clone(), source);
    }
    let revision = configuration.revision;
    let snapshot = Snapshot { revision, created_at_us, region: region.clone(), shards, sources, handlers };
    Ok(Built { snapshot, unsealed })
}

/// Left free in a snapshot, in bytes, for what changes in it without a request: a canary's next step.
const ROOM: usize = 64 * 1024;

/// Refuses a configuration whose snapshot would be larger than a document may be.
pub(crate) fn check_size(
    configuration: &Configuration,
    region: &Name,
    shards: ShardCount,
) -> Result<(), Refused> {
    // The distributor reports one that cannot be built for another reason.
    let Ok(Built { snapshot, .. }) = build(configuration, region, shards, u64::MAX) else {
        return Ok(());
    };
    let most = MAX_BYTES - ROOM;
    let fits = snapshot.to_bytes().is_ok_and(|bytes| bytes.len() <= most);
    if fits { Ok(()) } else { Err(Refused::SnapshotTooLarge { region: region.clone(), most }) }
}

fn source(
    configuration: &Configuration,
    name: &Name,
    stored: &configuration::Source,
    region: &Name,
    components: &mut BTreeMap<Digest256, Component>,
) -> Result<Source, BuildError> {
    let mut handlers = Vec::with_capacity(stored.handlers.len());
    for bound in &stored.handlers {
        let version = bound_version(configuration, bound).ok_or_else(|| BuildError::NoVersion {
            source_name: name.clone(),
            handler: bound.name.clone(),
        })?;
        components.insert(version.digest, Component { size: version.size });
        let trial = trial_of(configuration, bound);
        components
            .extend(trial.iter().map(|(version, _)| (version.digest, Component { size: version.size })));
        handlers.push(binding(bound, version, trial.map(|(_, trial)| trial)));
    }
    Ok(Source {
        tenant: stored.tenant.clone(),
        scheme: stored.scheme.clone(),
        secrets: secrets(stored, region),
        tolerance_seconds: stored.tolerance_seconds,
        settings: stored.settings.clone(),
        keys: keys(stored, region),
        handlers,
        intake: stored.intake.clone(),
    })
}

/// The version that a binding runs: the one it names, else the promoted one.
pub(crate) fn bound_version<'a>(
    configuration: &'a Configuration,
    bound: &HandlerDocument,
) -> Option<&'a Version> {
    let handler = configuration.handlers.get(&bound.name)?;
    handler.version(bound.version.map_or(handler.promoted, u32::from))
}

/// The version that is tried on a binding's events. Only a binding that names no version has one.
pub(crate) fn trial_of<'a>(
    configuration: &'a Configuration,
    bound: &HandlerDocument,
) -> Option<(&'a Version, Trial)> {
    let handler = configuration.handlers.get(&bound.name).filter(|_| bound.version.is_none())?;
    let rollout = handler.rollout.as_ref()?;
    let version = handler.version(rollout.version)?;
    Some((version, rollout.trial(version.digest)?))
}

fn binding(bound: &HandlerDocument, version: &Version, trial: Option<Trial>) -> Binding {
    Binding {
        name: bound.name.clone(),
        version: version.version,
        digest: version.digest,
        on_fault: bound.on_fault,
        params: bound.params.clone(),
        grants: bound.grants.clone(),
        limits: bound.limits,
        trial,
    }
}

fn secrets(stored: &configuration::Source, region: &Name) -> Vec<SealedSecret> {
    stored.secrets.iter().filter_map(|stored| sealed(stored, region)).collect()
}

fn keys(stored: &configuration::Source, region: &Name) -> BTreeMap<Name, SealedSecret> {
    stored.keys.iter().filter_map(|(name, stored)| Some((name.clone(), sealed(stored, region)?))).collect()
}

fn sealed(stored: &StoredSecret, region: &Name) -> Option<SealedSecret> {
    Some(SealedSecret { id: stored.id.clone(), secret: stored.regions.get(region)?.clone() })
}
