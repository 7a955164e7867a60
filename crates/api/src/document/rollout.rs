//! How a version of a handler is tried, as an operator says it.

use std::num::NonZeroU32;

use floodgate_event::rollout::Share;
use serde::{Deserialize, Serialize};

use super::{Document, Invalid, field};

/// `POST /v1/handlers/{name}/shadow`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShadowDocument {
    /// The version that is tried.
    pub version: NonZeroU32,
    /// On how many of the events.
    pub percent: Share,
}

/// `POST /v1/handlers/{name}/canary`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanaryDocument {
    /// The version that takes over.
    pub version: NonZeroU32,
    /// Shares of the events, one after the other.
    #[serde(default = "default_steps")]
    pub steps_percent: Vec<Share>,
    /// The least time of a step.
    #[serde(default = "default_step_seconds")]
    pub step_seconds: u32,
    /// What it may do worse.
    #[serde(default)]
    pub budget: Budget,
}

/// What a canary may do worse before it is rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Events on which it fails and the promoted version does not.
    pub faults_percent: Share,
    /// Events on which it decides otherwise; without one, as many as there are.
    pub differences_percent: Option<Share>,
    /// How much longer it may run, over all events; without one, as long as its deadline allows.
    pub slower_percent: Option<u32>,
    /// Events that a step needs, over all regions.
    pub min_events: u64,
}

fn default_steps() -> Vec<Share> {
    [1.0, 10.0, 50.0].into_iter().filter_map(|percent| Share::try_from(percent).ok()).collect()
}

fn default_step_seconds() -> u32 {
    300
}

impl CanaryDocument {
    /// The most steps.
    pub const MAX_STEPS: usize = 20;
}

impl Document for ShadowDocument {
    fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

impl Document for CanaryDocument {
    fn check(&self) -> Result<(), Invalid> {
        let steps = &self.steps_percent;
        if steps.is_empty() || !steps.is_sorted_by(|one, next| one < next) {
            return Err(Invalid::new(
                "steps_percent",
                "expected at least one share, each larger than the last",
            ));
        }
        field::at_most("steps_percent", "steps", steps.len(), Self::MAX_STEPS)?;
        field::within("step_seconds", self.step_seconds.into(), 1..=7 * 86_400)?;
        let Budget { slower_percent, min_events, .. } = self.budget;
        field::within("budget.slower_percent", slower_percent.unwrap_or(0).into(), 0..=100_000)?;
        field::within("budget.min_events", min_events, 1..=1_000_000_000)
    }
}

impl Default for Budget {
    fn default() -> Self {
        // A literal in range.
        #[allow(clippy::expect_used)]
        let one_percent = Share::try_from(1.0).expect("1 % is a share");
        Self {
            faults_percent: one_percent,
            differences_percent: None,
            slower_percent: Some(100),
            min_events: 100,
        }
    }
}
