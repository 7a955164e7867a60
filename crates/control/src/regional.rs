//! What a region gets of the configuration: its snapshot, with what is promoted resolved to versions.

use std::collections::BTreeMap;

use floodgate_api::document::HandlerDocument;
use floodgate_event::Name;
use floodgate_event::document::MAX_BYTES;
use floodgate_event::rollout::Trial;
use floodgate_event::snapshot::{Binding, Component, Digest256, SealedSecret, Snapshot, Source};

use super::change::Refused;
use super::configuration::{self, Configuration, StoredSecret, Version};

/// A region's snapshot, as far as it can be made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Regional {
    pub snapshot: Snapshot,
    /// The sources whose secrets are not all sealed to this region:
    /// for a moment after a region was added, until the relay that may write has sealed them, and for longer
    /// where the centre cannot open them itself. They are in the snapshot with what there is.
    pub unsealed: Vec<Name>,
}

/// Why a snapshot cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Incomplete {
    /// Changes are checked, so that this is a broken document.
    #[error("source `{source_name}` binds handler `{handler}`, and there is no such version")]
    NoVersion { source_name: Name, handler: Name },
}

/// Makes a region's snapshot. The same configuration makes the same one, except for `created_at_us`.
pub(crate) fn snapshot(
    configuration: &Configuration,
    region: &Name,
    shards: u32,
    created_at_us: u64,
) -> Result<Regional, Incomplete> {
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
    Ok(Regional { snapshot, unsealed })
}

/// What is left free in a snapshot, for what changes in it without being asked: a canary's next step.
const ROOM: usize = 64 * 1024;

/// Refuses a configuration whose snapshot would be larger than a document may be.
pub(crate) fn check_size(configuration: &Configuration, region: &Name, shards: u32) -> Result<(), Refused> {
    // One that cannot be made for another reason is told where it is distributed.
    let Ok(Regional { snapshot, .. }) = self::snapshot(configuration, region, shards, u64::MAX) else {
        return Ok(());
    };
    let most = MAX_BYTES - ROOM;
    let fits = snapshot.to_bytes().is_ok_and(|bytes| bytes.len() <= most);
    if fits { Ok(()) } else { Err(Refused::Snapshot { region: region.clone(), most }) }
}

fn source(
    configuration: &Configuration,
    name: &Name,
    stored: &configuration::Source,
    region: &Name,
    components: &mut BTreeMap<Digest256, Component>,
) -> Result<Source, Incomplete> {
    let mut handlers = Vec::with_capacity(stored.handlers.len());
    for bound in &stored.handlers {
        let version = resolve(configuration, bound).ok_or_else(|| Incomplete::NoVersion {
            source_name: name.clone(),
            handler: bound.name.clone(),
        })?;
        components.insert(version.digest, Component { size: version.size });
        let tried = tried(configuration, bound);
        components
            .extend(tried.iter().map(|(version, _)| (version.digest, Component { size: version.size })));
        handlers.push(binding(bound, version, tried.map(|(_, trial)| trial)));
    }
    Ok(Source {
        tenant: stored.tenant.clone(),
        scheme: stored.scheme,
        secrets: secrets(stored, region),
        tolerance_seconds: stored.tolerance_seconds,
        keys: keys(stored, region),
        handlers,
        intake: stored.intake.clone(),
    })
}

/// The version that a binding means: the one it names, else the promoted one.
pub(crate) fn resolve<'a>(configuration: &'a Configuration, bound: &HandlerDocument) -> Option<&'a Version> {
    let handler = configuration.handlers.get(&bound.name)?;
    handler.version(bound.version.map_or(handler.promoted, u32::from))
}

/// What is tried on a binding's events: only where it follows the promoted version.
pub(crate) fn tried<'a>(
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
