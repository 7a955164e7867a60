//! What needs somebody's attention, and streams of the centre that lost messages.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::document::{Document, Invalid};
use crate::schema;

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
    /// The stream.
    pub stream: String,
    /// What was lost.
    #[schema(value_type = schema::Lost)]
    pub lost: Lost,
    /// What was read of the stream up to here remains valid.
    pub stands_through: u64,
}

/// What became of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Lost {
    /// There is none of this name.
    Missing,
    /// It is not the one that was noted.
    Anew,
    /// It ends before what was read from it.
    WentBack {
        /// Its last sequence.
        last: u64,
        /// The last one that is known to have been there.
        known: u64,
    },
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it is gone"),
            Self::Anew => f.write_str("it is another stream than before, made anew"),
            Self::WentBack { last, known } => {
                write!(f, "it went back: it ends at {last}, and {known} was read from it")
            }
        }
    }
}
