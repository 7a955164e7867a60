//! Shows the configuration as the admin API does: everything except secrets, of which it shows the ids.

use floodgate_api::time::rfc3339;
use floodgate_api::view::{
    self, Bound, DestinationView, HandlerView, RolloutView, SecretView, SourceView, VerifyView, VersionView,
};
use floodgate_event::Name;
use floodgate_event::rollout::TrialKind;

use super::change::{Kind, Refused};
use super::configuration::{
    Concluded, Configuration, Destination, Handler, Rollout, Source, StoredSecret, Version,
};
use super::precondition::{Precondition, tag};
use super::region_snapshot;

impl Configuration {
    /// The entity tag of an object, with its quotes. `None` if there is no such object.
    pub fn tag(&self, kind: Kind, name: &Name) -> Option<String> {
        match kind {
            Kind::Source => self.sources.get(name).map(|source| tag(&self::source(name, source))),
            Kind::Destination => self.destinations.get(name).map(|stored| tag(&destination(name, stored))),
            Kind::Handler => self.handlers.get(name).map(|handler| tag(&self::handler(self, name, handler))),
        }
    }

    /// Compares an object with the precondition of a request.
    pub(crate) fn check(&self, expected: &Precondition, kind: Kind, name: &Name) -> Result<(), Refused> {
        // Most requests expect nothing, and hashing is not free.
        if *expected == Precondition::default() {
            return Ok(());
        }
        expected.check(kind, name, self.tag(kind, name))
    }
}

/// Shows a source, with the ids of its secrets in place of them.
pub fn source(name: &Name, source: &Source) -> SourceView {
    let verify = VerifyView {
        scheme: source.scheme.clone(),
        secrets: secrets(&source.secrets),
        tolerance_seconds: source.tolerance_seconds,
        settings: source.settings.clone(),
    };
    let keys = source.keys.iter().map(|(name, key)| (name.clone(), SecretView { id: key.id.clone() }));
    let intake = source.intake.clone();
    SourceView {
        name: name.clone(),
        tenant: source.tenant.clone(),
        verify,
        handlers: source.handlers.clone(),
        keys: keys.collect(),
        event_id: intake.event_id,
        event_type: intake.event_type,
        dedup: intake.dedup,
        types: intake.types,
        raw: intake.raw,
        on_verify_failure: intake.on_verify_failure,
        order_by: intake.order_by,
        lane: intake.lane,
        lanes: intake.lanes,
        status: intake.status,
        max_body_bytes: intake.max_body_bytes,
        rate_limit: intake.rate_limit,
        max_config_age_seconds: intake.max_config_age_seconds,
    }
}

/// Shows a destination, with the ids of its secrets in place of them.
pub fn destination(name: &Name, destination: &Destination) -> DestinationView {
    let delivery = destination.delivery.clone();
    DestinationView {
        name: name.clone(),
        tenant: destination.tenant.clone(),
        secrets: secrets(&destination.secrets),
        url: delivery.url,
        subscribe: delivery.subscribe,
        timeout_seconds: delivery.timeout_seconds,
        concurrency: delivery.concurrency,
        rate_per_second: delivery.rate_per_second,
        retry: delivery.retry,
        original_headers: delivery.original_headers,
        enabled: delivery.enabled,
        paused: delivery.paused,
        answered_410_at: (destination.gone_at_us != 0).then(|| rfc3339(destination.gone_at_us)),
    }
}

/// Shows a handler, with the sources that bind it and the version that each of them runs.
pub fn handler(configuration: &Configuration, name: &Name, handler: &Handler) -> HandlerView {
    let bound = configuration.bindings(name).map(|(source, binding)| Bound {
        source: source.clone(),
        version: region_snapshot::bound_version(configuration, binding).map(|version| version.version),
        pinned: binding.version.is_some(),
    });
    HandlerView {
        name: name.clone(),
        promoted: handler.promoted,
        versions: handler.versions.iter().map(version).collect(),
        bound: bound.collect(),
        previous: handler.history.last().copied(),
        rollout: handler.rollout.as_ref().map(rollout),
        last_rollout: handler.concluded.as_ref().map(concluded),
    }
}

fn rollout(rollout: &Rollout) -> RolloutView {
    RolloutView {
        kind: rollout.kind,
        version: rollout.version,
        percent: rollout.share(),
        steps_percent: rollout.steps.clone(),
        step: rollout.step + 1,
        step_seconds: rollout.step_seconds,
        step_began_at: rfc3339(rollout.step_began_us),
        budget: (rollout.kind == TrialKind::Canary).then_some(rollout.budget),
    }
}

fn concluded(stored: &Concluded) -> view::Concluded {
    let Concluded { kind, version, conclusion, reason, tally, at_us } = stored;
    view::Concluded {
        kind: *kind,
        version: *version,
        conclusion: *conclusion,
        reason: reason.clone(),
        at: rfc3339(*at_us),
        tally: *tally,
    }
}

fn version(version: &Version) -> VersionView {
    let Version { version, digest, size, created_at_us } = *version;
    VersionView { version, digest, size, created_at: rfc3339(created_at_us) }
}

fn secrets(stored: &[StoredSecret]) -> Vec<SecretView> {
    stored.iter().map(|secret| SecretView { id: secret.id.clone() }).collect()
}
