//! What a gateway reports of itself, under its own key in the region's bucket.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Name, tally};

/// How many handler versions a report counts. A snapshot that binds more is still served.
pub const MAX_HANDLERS: usize = 1_000;
/// The most refused sources that a report names.
pub const MAX_REFUSED: usize = 100;
/// The most secrets that a report names.
pub const MAX_SECRETS: usize = 1_000;
/// The most differences that one gateway keeps of a trial.
pub const MAX_SAMPLES: usize = 8;

/// A gateway's report, in JSON. Counts are since the process began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayReport {
    /// The name of the gateway process, as in its configuration.
    pub gateway: String,
    /// The revision of the configuration that it serves; 0 before it has one.
    pub revision: u64,
    /// Why it does not serve a newer one that it has seen, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Unix time in microseconds of the report, by the gateway's clock. Its age is judged by the region's
    /// server, as the gateway's clock may be off.
    pub reported_at_us: u64,
    /// The handler versions that it serves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handlers: Vec<HandlerReport>,
    /// The trials that are under way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trials: Vec<TrialReport>,
    /// The most that a binding may ask of it; none from a gateway that does not report it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maxima: Option<Maxima>,
    /// The sources that it does not serve as this revision has them, at most [`MAX_REFUSED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedSource>,
    /// When secrets last verified a request, for sources that have several; at most [`MAX_SECRETS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretReport>,
}

/// When a secret of a source last verified a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretReport {
    /// The name of the source.
    pub source: Name,
    /// The id of the secret.
    pub secret: String,
    /// Unix time in microseconds; none if it has not since the gateway began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_us: Option<u64>,
}

/// The most that a gateway lets a binding ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maxima {
    /// Milliseconds that a handler may run for one event.
    pub deadline_ms: u64,
    /// Bytes of linear memory of one instance.
    pub memory_bytes: u64,
    /// Bytes that a handler may return for one event.
    pub output_bytes: u64,
    /// Bytes of a component.
    pub component_bytes: u64,
}

/// A source that a gateway does not serve as it is configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RefusedSource {
    /// The name of the source.
    pub source: Name,
    /// Why the gateway does not serve it as configured, for the operator.
    pub reason: String,
    /// True if the gateway serves it as it was before. If false, its requests get 503.
    pub as_before: bool,
}

/// The counts of one version of a handler in one gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandlerReport {
    /// The name of the handler.
    pub name: Name,
    /// The version of the handler.
    pub version: u32,
    /// Runs by outcome. Runs that failed count as `fault`.
    pub runs: BTreeMap<String, u64>,
    /// Runs that failed, by the kind of fault.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub faults: BTreeMap<String, u64>,
}

/// What one gateway counted of a trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialReport {
    /// The name of the handler.
    pub name: Name,
    /// The revision that began the trial; see [`Trial::id`](crate::rollout::Trial::id).
    pub id: u64,
    /// Counts of the events on which both versions ran.
    pub tally: TrialTally,
    /// The first differences, at most [`MAX_SAMPLES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<Difference>,
}

/// Counts of the events that both versions ran on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TrialTally {
    /// Events on which both versions ran.
    pub events: u64,
    /// Events on which the tried version failed and the promoted one did not.
    pub faults: u64,
    /// Events on which both succeeded with different outcomes.
    pub differences: u64,
    /// Total run time of the tried version, in microseconds.
    pub tried_us: u64,
    /// Total run time of the promoted version, in microseconds.
    pub promoted_us: u64,
}

impl std::ops::AddAssign for TrialTally {
    fn add_assign(&mut self, other: Self) {
        tally::add(&mut self.events, other.events);
        tally::add(&mut self.faults, other.faults);
        tally::add(&mut self.differences, other.differences);
        tally::add(&mut self.tried_us, other.tried_us);
        tally::add(&mut self.promoted_us, other.promoted_us);
    }
}

/// An event on which two versions did not do the same. Holds nothing of its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Difference {
    /// The event's id, as text.
    pub event: String,
    /// The source that it came through.
    pub source: String,
    /// What the promoted version decided: `pass`, `drop`, … or a fault's kind.
    pub promoted: String,
    /// What the tried version decided.
    pub tried: String,
    /// The parts that differ: `outcome`, `reason`, `body`, `type`, `lane`, `headers`,
    /// `children`, `status`, `deliver`.
    pub parts: Vec<String>,
}
