//! What a gateway reports of itself, under its own key in the region's bucket.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Name;

/// The most handler versions that a report counts; a snapshot that binds more is served all the same.
pub const MAX_HANDLERS: usize = 1_000;
/// The most refused sources that a report names.
pub const MAX_REFUSED: usize = 100;
/// The most differences that one gateway keeps of a trial.
pub const MAX_SAMPLES: usize = 8;

/// A gateway's report, in JSON. Counts are since the process began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayReport {
    /// The gateway process.
    pub gateway: String,
    /// The revision it serves; 0 before it has any.
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
}

/// The most that one gateway gives a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maxima {
    /// Milliseconds for one event.
    pub deadline_ms: u64,
    /// Bytes of linear memory.
    pub memory_bytes: u64,
    /// Bytes that it may return.
    pub output_bytes: u64,
    /// Bytes of its component.
    pub component_bytes: u64,
}

/// A source that a gateway does not serve as it is configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedSource {
    /// The source.
    pub source: Name,
    /// Why.
    pub reason: String,
    /// Whether it is served as it was before. If not, its requests get 503.
    pub as_before: bool,
}

/// One version of a handler, as a gateway serves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandlerReport {
    /// The handler.
    pub name: Name,
    /// Its version.
    pub version: u32,
    /// Runs by outcome; those that failed are `fault`.
    pub runs: BTreeMap<String, u64>,
    /// Failures by kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub faults: BTreeMap<String, u64>,
}

/// How a trial goes in one gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialReport {
    /// The handler.
    pub name: Name,
    /// The trial's id.
    pub id: u64,
    /// Its counts.
    pub tally: TrialTally,
    /// The first differences, at most [`MAX_SAMPLES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<Difference>,
}

/// Counts of the events that both versions ran on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialTally {
    /// The events.
    pub events: u64,
    /// Those on which the tried version failed and the promoted one did not.
    pub faults: u64,
    /// Those on which both decided, and not the same.
    pub differences: u64,
    /// Microseconds that the tried version ran, in all.
    pub tried_us: u64,
    /// The same of the promoted version.
    pub promoted_us: u64,
}

impl std::ops::AddAssign for TrialTally {
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.faults += other.faults;
        self.differences += other.differences;
        self.tried_us += other.tried_us;
        self.promoted_us += other.promoted_us;
    }
}

/// An event on which two versions did not do the same. Holds nothing of its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The event's id.
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
