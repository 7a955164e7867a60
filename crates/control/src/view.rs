//! What the admin API shows of the configuration: everything but secrets, of which it shows the ids.

use std::collections::BTreeMap;

use floodgate_api::document::{Delivery, HandlerDocument};
use floodgate_event::Name;
use floodgate_event::report::TrialTally;
use floodgate_event::rollout::{Share, TrialKind};
use floodgate_event::snapshot::Digest256;
use floodgate_event::source::{Intake, Scheme};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::change::{Kind, Refused};
use super::configuration::{
    Budget, Concluded, Conclusion, Configuration, Destination, Handler, Rollout, Source, StoredSecret,
    Version,
};
use super::precondition::{Precondition, tag};
use super::regional;

/// A source, in the form of its document.
#[derive(Clone, Debug, Serialize)]
pub struct SourceView<'a> {
    name: &'a Name,
    tenant: &'a Name,
    verify: VerifyView<'a>,
    handlers: &'a [HandlerDocument],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    keys: BTreeMap<&'a Name, SecretView<'a>>,
    #[serde(flatten)]
    intake: &'a Intake,
}

#[derive(Clone, Debug, Serialize)]
struct VerifyView<'a> {
    scheme: Scheme,
    secrets: Vec<SecretView<'a>>,
    tolerance_seconds: Option<u64>,
}

/// A secret that somebody else holds.
#[derive(Clone, Copy, Debug, Serialize)]
struct SecretView<'a> {
    id: &'a str,
}

/// A destination, in the form of its document.
#[derive(Clone, Debug, Serialize)]
pub struct DestinationView<'a> {
    name: &'a Name,
    tenant: &'a Name,
    secrets: Vec<SecretView<'a>>,
    #[serde(flatten)]
    delivery: &'a Delivery,
    /// If that is why it is disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_410_at: Option<String>,
}

/// A handler with its versions, and which of them is bound where.
#[derive(Clone, Debug, Serialize)]
pub struct HandlerView<'a> {
    name: &'a Name,
    promoted: u32,
    versions: Vec<VersionView>,
    bound: Vec<BoundView<'a>>,
    /// What `rollback` would promote.
    previous: Option<u32>,
    rollout: Option<RolloutView<'a>>,
    last_rollout: Option<ConcludedView<'a>>,
}

/// A version that is tried.
#[derive(Clone, Debug, Serialize)]
struct RolloutView<'a> {
    kind: TrialKind,
    version: u32,
    percent: Option<Share>,
    steps_percent: &'a [Share],
    /// From 1.
    step: usize,
    step_seconds: u32,
    step_began_at: String,
    /// Of a canary.
    budget: Option<&'a Budget>,
}

/// How the last one did.
#[derive(Clone, Debug, Serialize)]
struct ConcludedView<'a> {
    kind: TrialKind,
    version: u32,
    conclusion: Conclusion,
    reason: &'a str,
    at: String,
    tally: TrialTally,
}

#[derive(Clone, Debug, Serialize)]
struct VersionView {
    version: u32,
    digest: Digest256,
    size: u64,
    created_at: String,
}

#[derive(Clone, Debug, Serialize)]
struct BoundView<'a> {
    source: &'a Name,
    /// What the source runs.
    version: Option<u32>,
    /// Whether it names that version, or follows the promoted one.
    pinned: bool,
}

impl Configuration {
    /// The entity tag of an object; none if there is no such object.
    pub fn tag(&self, kind: Kind, name: &Name) -> Option<String> {
        match kind {
            Kind::Source => self.sources.get(name).map(|source| tag(&SourceView::new(name, source))),
            Kind::Destination => {
                self.destinations.get(name).map(|stored| tag(&DestinationView::new(name, stored)))
            }
            Kind::Handler => {
                self.handlers.get(name).map(|handler| tag(&HandlerView::new(self, name, handler)))
            }
        }
    }

    /// Compares an object with what a request expects of it.
    pub fn check(&self, expected: &Precondition, kind: Kind, name: &Name) -> Result<(), Refused> {
        // Most requests expect nothing, and hashing is not free.
        if *expected == Precondition::default() {
            return Ok(());
        }
        expected.check(kind, name, self.tag(kind, name))
    }
}

impl<'a> SourceView<'a> {
    pub fn new(name: &'a Name, source: &'a Source) -> Self {
        let verify = VerifyView {
            scheme: source.scheme,
            secrets: secrets(&source.secrets),
            tolerance_seconds: source.tolerance_seconds,
        };
        let keys = source.keys.iter().map(|(name, key)| (name, SecretView { id: &key.id }));
        let (tenant, handlers, intake) = (&source.tenant, &source.handlers, &source.intake);
        Self { name, tenant, verify, handlers, keys: keys.collect(), intake }
    }
}

impl<'a> DestinationView<'a> {
    pub fn new(name: &'a Name, destination: &'a Destination) -> Self {
        let secrets = secrets(&destination.secrets);
        let answered_410_at = (destination.gone_at_us != 0).then(|| rfc3339(destination.gone_at_us));
        Self { name, tenant: &destination.tenant, secrets, delivery: &destination.delivery, answered_410_at }
    }
}

impl<'a> HandlerView<'a> {
    pub fn new(configuration: &'a Configuration, name: &'a Name, handler: &'a Handler) -> Self {
        let bound = configuration.bindings(name).map(|(source, binding)| BoundView {
            source,
            version: regional::resolve(configuration, binding).map(|version| version.version),
            pinned: binding.version.is_some(),
        });
        let versions = handler.versions.iter().map(VersionView::new).collect();
        Self {
            name,
            promoted: handler.promoted,
            versions,
            bound: bound.collect(),
            previous: handler.history.last().copied(),
            rollout: handler.rollout.as_ref().map(RolloutView::new),
            last_rollout: handler.concluded.as_ref().map(ConcludedView::new),
        }
    }
}

impl<'a> RolloutView<'a> {
    fn new(rollout: &'a Rollout) -> Self {
        Self {
            kind: rollout.kind,
            version: rollout.version,
            percent: rollout.share(),
            steps_percent: &rollout.steps,
            step: rollout.step + 1,
            step_seconds: rollout.step_seconds,
            step_began_at: rfc3339(rollout.step_began_us),
            budget: (rollout.kind == TrialKind::Canary).then_some(&rollout.budget),
        }
    }
}

impl<'a> ConcludedView<'a> {
    fn new(concluded: &'a Concluded) -> Self {
        let Concluded { kind, version, conclusion, reason, tally, at_us } = concluded;
        let (kind, version, conclusion, tally) = (*kind, *version, *conclusion, *tally);
        Self { kind, version, conclusion, reason, at: rfc3339(*at_us), tally }
    }
}

impl VersionView {
    fn new(version: &Version) -> Self {
        let Version { version, digest, size, created_at_us } = *version;
        Self { version, digest, size, created_at: rfc3339(created_at_us) }
    }
}

fn secrets(stored: &[StoredSecret]) -> Vec<SecretView<'_>> {
    stored.iter().map(|secret| SecretView { id: &secret.id }).collect()
}

/// A time of ours as text, by [RFC 3339](https://www.rfc-editor.org/rfc/rfc3339); empty past the year 9999.
pub fn rfc3339(unix_micros: u64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_micros) * 1_000)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}
