//! How a version of a handler is tried, as an operator says it.

use std::num::NonZeroU32;

use floodgate_event::rollout::Share;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, Invalid, field};

/// A shadow, as `POST /v1/handlers/{name}/shadow` takes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Shadow)]
pub struct ShadowDocument {
    /// The version that is tried.
    #[schema(value_type = u32, minimum = 1)]
    pub version: NonZeroU32,
    /// On how many of the events it runs, in percent.
    pub percent: Share,
}

/// A canary, as `POST /v1/handlers/{name}/canary` takes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Canary)]
pub struct CanaryDocument {
    /// The version that takes over.
    #[schema(value_type = u32, minimum = 1)]
    pub version: NonZeroU32,
    /// Shares of the events in percent, each larger than the last.
    #[serde(default = "default_steps")]
    #[schema(min_items = 1, max_items = 20, default = json!([1, 10, 50]))]
    pub steps_percent: Vec<Share>,
    /// The least time of a step, in seconds.
    #[serde(default = "default_step_seconds")]
    #[schema(default = 300, minimum = 1, maximum = 604800)]
    pub step_seconds: u32,
    /// What it may do worse.
    #[serde(default)]
    pub budget: Budget,
}

/// What a canary may do worse before it is rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Events on which it fails and the promoted version does not.
    #[schema(value_type = f64, minimum = 0.01, maximum = 100, default = 1)]
    pub faults_percent: Share,
    /// Events on which it decides otherwise; without one, as many as there are.
    #[schema(value_type = Option<f64>, minimum = 0.01, maximum = 100)]
    pub differences_percent: Option<Share>,
    /// How much longer it may run, over all events, in percent; null: as long as its deadline allows. One
    /// that takes less than 1 ms an event is not slow.
    #[schema(minimum = 0, maximum = 100000, default = 100)]
    pub slower_percent: Option<u32>,
    /// Events that a step needs, over all regions.
    #[schema(minimum = 1, maximum = 1000000000, default = 100)]
    pub min_events: u64,
}

fn default_steps() -> Vec<Share> {
    [1.0, 10.0, 50.0].into_iter().filter_map(|percent| Share::try_from(percent).ok()).collect()
}

fn default_step_seconds() -> u32 {
    300
}

impl CanaryDocument {
    /// The most steps of a canary.
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

/// A promotion, as `POST /v1/handlers/{name}/promote` takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Promotion)]
pub struct PromotionDocument {
    /// The version that a source is to run if its binding names none.
    #[schema(value_type = u32, minimum = 1)]
    pub version: NonZeroU32,
}

impl Document for PromotionDocument {
    fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

/// `POST /v1/handlers/{name}/rollback`: an empty object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Rollback)]
pub struct RollbackDocument {}

impl Document for RollbackDocument {
    fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }
}
