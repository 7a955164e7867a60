//! A version of a handler on its way to be promoted, or not.

use floodgate_api::document::Budget;

pub use floodgate_api::view::Conclusion;
use floodgate_event::report::TrialTally;
use floodgate_event::rollout::{Share, Trial, TrialKind};
use floodgate_event::snapshot::Digest256;
use serde::{Deserialize, Serialize};

/// A version that is tried beside the promoted one, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollout {
    /// Shadow or canary.
    pub kind: TrialKind,
    /// The version that is tried.
    pub version: u32,
    /// The revision of its present step; counts of other steps are not its own.
    pub id: u64,
    /// Shares of the events, one after the other; a shadow has one. Never empty.
    pub steps: Vec<Share>,
    /// The present step, from 0.
    pub step: usize,
    /// When it began; Unix time in microseconds.
    pub step_began_us: u64,
    /// The least time of a step; a shadow has none.
    pub step_seconds: u32,
    /// What the version may do worse than the promoted one.
    pub budget: Budget,
}

/// How the last rollout of a handler ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concluded {
    /// Shadow or canary.
    pub kind: TrialKind,
    /// The version that was tried.
    pub version: u32,
    /// Whether it was promoted, rolled back or stopped.
    pub conclusion: Conclusion,
    /// Why, for people.
    pub reason: String,
    /// The counts of its last step.
    pub tally: TrialTally,
    /// Unix time in microseconds.
    pub at_us: u64,
}

impl Rollout {
    /// The share of events of the present step.
    pub fn share(&self) -> Option<Share> {
        self.steps.get(self.step).copied()
    }

    /// Whether the version is promoted once the present step passes.
    pub fn is_last_step(&self) -> bool {
        self.step + 1 >= self.steps.len()
    }

    /// What regions get of it.
    pub fn trial(&self, digest: Digest256) -> Option<Trial> {
        let Self { id, kind, version, .. } = *self;
        Some(Trial { id, kind, version, digest, share: self.share()? })
    }

    /// The record of how it ended.
    pub fn concluded(
        &self,
        conclusion: Conclusion,
        reason: String,
        tally: TrialTally,
        at_us: u64,
    ) -> Concluded {
        let Self { kind, version, .. } = *self;
        Concluded { kind, version, conclusion, reason, tally, at_us }
    }
}
