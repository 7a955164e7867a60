//! The rollout of a version that is not promoted yet: a shadow, or a canary.

use floodgate_api::document::Budget;

pub use floodgate_api::view::Conclusion;
use floodgate_event::Digest256;
use floodgate_event::report::TrialTally;
use floodgate_event::rollout::{Share, Trial, TrialKind};
use serde::{Deserialize, Serialize};

/// A version that is tried beside the promoted one, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollout {
    /// Whether the version only runs beside the promoted one, or in place of it.
    pub kind: TrialKind,
    /// The version that is tried.
    pub version: u32,
    /// The revision that began the present step. Gateways count by it, so that steps are counted apart.
    pub id: u64,
    /// The share of events of each step. A shadow has one step. Never empty.
    pub steps: Vec<Share>,
    /// The index of the present step, from 0.
    pub step: usize,
    /// When the present step began. Unix time in microseconds.
    pub step_began_us: u64,
    /// How long a step lasts at least. 0 for a shadow.
    pub step_seconds: u32,
    /// How much worse than the promoted version it may do.
    pub budget: Budget,
}

/// How the last rollout of a handler ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concluded {
    /// Whether it was a shadow or a canary.
    pub kind: TrialKind,
    /// The version that was tried.
    pub version: u32,
    /// Whether it was promoted, rolled back or stopped.
    pub conclusion: Conclusion,
    /// The reason, for people to read.
    pub reason: String,
    /// What gateways counted in its last step.
    pub tally: TrialTally,
    /// When it ended. Unix time in microseconds.
    pub at_us: u64,
}

impl Rollout {
    /// The share of events of the present step.
    pub(crate) fn share(&self) -> Option<Share> {
        self.steps.get(self.step).copied()
    }

    /// Returns true if the version is promoted once the present step passes.
    pub(crate) fn is_last_step(&self) -> bool {
        self.step + 1 >= self.steps.len()
    }

    /// The trial as a region's snapshot holds it.
    pub(crate) fn trial(&self, digest: Digest256) -> Option<Trial> {
        let Self { id, kind, version, .. } = *self;
        Some(Trial { id, kind, version, digest, share: self.share()? })
    }

    /// The record of how it ended.
    pub(crate) fn concluded(
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
