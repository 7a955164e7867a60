//! What the API shows of handlers, and what changes of them answer.

use std::collections::BTreeMap;

use floodgate_event::report::{Difference, TrialTally};
use floodgate_event::rollout::{Share, TrialKind};
use floodgate_event::{Digest256, Name};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::document::Budget;
use crate::schema;

/// A handler with its versions, and which of them is bound where.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct HandlerView {
    /// The name of the handler.
    pub name: Name,
    /// The version that a source runs if its binding names none.
    pub promoted: u32,
    /// Every version, the oldest first.
    pub versions: Vec<VersionView>,
    /// The sources that bind it.
    pub bound: Vec<Bound>,
    /// What a rollback would promote.
    #[serde(default)]
    pub previous: Option<u32>,
    /// The version that is tried, if one is.
    #[serde(default)]
    pub rollout: Option<RolloutView>,
    /// How the last rollout ended.
    #[serde(default)]
    pub last_rollout: Option<Concluded>,
}

/// A version that is tried.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RolloutView {
    /// Whose outcome counts: `shadow` or `canary`.
    pub kind: TrialKind,
    /// The version that is tried.
    pub version: u32,
    /// The share of events of the present step.
    #[schema(value_type = Option<f64>, minimum = 0.01, maximum = 100)]
    pub percent: Option<Share>,
    /// Shares of the events, one after the other.
    pub steps_percent: Vec<Share>,
    /// The present step, from 1.
    pub step: usize,
    /// The least time of a step, in seconds.
    pub step_seconds: u32,
    /// When the present step began.
    #[schema(format = DateTime)]
    pub step_began_at: String,
    /// What it may do worse; null of a shadow.
    pub budget: Option<Budget>,
}

/// How a rollout ended.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Concluded {
    /// Whose outcome counted: `shadow` or `canary`.
    pub kind: TrialKind,
    /// The version that was tried.
    pub version: u32,
    /// What became of it.
    pub conclusion: Conclusion,
    /// Why it ended, for people.
    pub reason: String,
    /// When the rollout ended.
    #[schema(format = DateTime)]
    pub at: String,
    /// The counts of its last step.
    pub tally: TrialTally,
}

/// What became of a version that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// It was promoted after its last step.
    Promoted,
    /// It went over its budget, or was rolled back by hand.
    RolledBack,
    /// Something else took its place, or it was stopped by hand.
    Stopped,
}

/// A version of a handler.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct VersionView {
    /// From 1, in the order of uploads.
    pub version: u32,
    /// The component's SHA-256, in hex.
    #[schema(value_type = String)]
    pub digest: Digest256,
    /// The component's size in bytes.
    pub size: u64,
    /// When it was uploaded.
    #[schema(format = DateTime)]
    pub created_at: String,
}

/// A source that binds a handler.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Bound {
    /// The source that binds the handler.
    pub source: Name,
    /// The version that the source runs.
    pub version: Option<u32>,
    /// Whether the source names that version, or follows the promoted one.
    pub pinned: bool,
}

/// A handler, and how it does in the regions.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ShownHandler {
    /// The handler as it is configured.
    #[serde(flatten)]
    pub handler: HandlerView,
    /// The regions, and the versions that each serves.
    pub regions: Vec<RegionVersions>,
    /// Runs and failures by version, since each gateway's process began.
    pub counters: BTreeMap<u32, Counters>,
    /// How the version that is tried does, if one is.
    pub trial: Option<Trial>,
}

/// The versions of a handler that a region serves.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RegionVersions {
    /// The name of the region.
    pub name: Name,
    /// Whether the region answered.
    pub reachable: bool,
    /// The versions that its gateways serve: more than one while a change is on its way, or one is tried.
    pub versions: Vec<u32>,
}

/// What a version did, since each gateway's process began.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Counters {
    /// Runs by outcome; those that failed are `fault`.
    pub runs: BTreeMap<String, u64>,
    /// Failures by kind of fault.
    pub faults: BTreeMap<String, u64>,
}

/// How the version that is tried does, over all regions.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Trial {
    /// The counts of the trial.
    #[serde(flatten)]
    pub tally: TrialTally,
    /// The first events on which the versions did not do the same.
    pub samples: Vec<Difference>,
}

/// A component was taken as a version.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Taken)]
pub struct Uploaded {
    /// The name of the handler.
    pub name: Name,
    /// The version; that of before where the bytes are the same.
    pub version: u32,
    /// The component's SHA-256, in hex.
    #[schema(value_type = String)]
    pub digest: Digest256,
    /// The revision that has the version.
    #[schema(value_type = schema::Revision)]
    pub revision: u64,
}

/// What a promotion made.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Promoted {
    /// The name of the handler.
    pub name: Name,
    /// The version that a source now runs if its binding names none.
    pub promoted: u32,
    /// The revision that says so.
    #[schema(value_type = schema::Revision)]
    pub revision: u64,
    /// Whether every region runs it. Waited for at most 10 s.
    #[serde(default)]
    #[schema(required = true)]
    pub in_force: bool,
}

/// What a change of a rollout made.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = RolloutChange)]
pub struct Change {
    /// The name of the handler.
    pub name: Name,
    /// The revision that says so.
    #[schema(value_type = schema::Revision)]
    pub revision: u64,
    /// Whether every region runs what this revision says. Waited for at most 10 s.
    #[serde(default)]
    #[schema(required = true)]
    pub in_force: bool,
}

/// A line that a handler wrote.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    /// The region of the gateway that ran it.
    pub region: String,
    /// The gateway that ran it.
    #[serde(default)]
    pub gateway: String,
    /// When it was written, as Unix time in microseconds.
    pub at_us: u64,
    /// The name of the handler.
    #[serde(default)]
    pub handler: String,
    /// The version of the handler.
    pub version: u32,
    /// The source that the event came through.
    #[serde(default)]
    pub source: String,
    /// The id of the event.
    pub event: String,
    /// How grave it is.
    pub level: Level,
    /// What the handler wrote.
    pub message: String,
}

/// How grave a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What only the handler's author reads.
    Trace,
    /// What helps to find a fault.
    Debug,
    /// What happened, when nothing is wrong.
    Info,
    /// What is likely wrong.
    Warn,
    /// What failed and needs attention.
    Error,
}
