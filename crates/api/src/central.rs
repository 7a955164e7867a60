//! What needs somebody's attention, and streams of the centre that lost messages.

use floodgate_event::central::Lost;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::document::{Document, Invalid};

/// What needs somebody's attention, as far as this relay sees it by itself.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// Whether there is no problem.
    pub well: bool,
    /// Every problem that the relay sees.
    pub problems: Vec<Problem>,
}

/// Something that needs attention.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = HealthProblem)]
pub struct Problem {
    /// What was checked: `central stream` or `stream`.
    #[schema(examples("central stream", "stream"))]
    pub check: String,
    /// Which stream, or which region.
    pub subject: String,
    /// What was found, in words.
    pub found: String,
}

/// `POST /v1/central-streams/accept-loss`: which stream's loss is accepted.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AcceptLoss)]
pub struct AcceptDocument {
    /// The stream, as `/v1/health` names it.
    #[schema(min_length = 1, max_length = 64, examples("EVENTS_1"))]
    pub stream: String,
}

impl AcceptDocument {
    /// The longest name of a stream that is worth looking for, in bytes.
    const MAX_NAME: usize = 64;
}

impl Document for AcceptDocument {
    fn check(&self) -> Result<(), Invalid> {
        match self.stream.len() {
            1..=Self::MAX_NAME => Ok(()),
            _ => Err(Invalid::new("stream", "must be a stream's name, such as EVENTS_0")),
        }
    }
}

/// A loss that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Acceptance {
    /// The stream whose loss was accepted.
    pub stream: String,
    /// What became of the stream.
    pub lost: Lost,
    /// What was read of the stream up to here remains valid.
    pub stands_through: u64,
}
