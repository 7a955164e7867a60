//! `/v1/health` and `/v1/central-streams`: what stands still, and going on without what is lost.

use axum::Json;
use axum::extract::State;
use floodgate_api::document::{Document, Invalid};
use floodgate_event::ProblemCode;
use floodgate_stream::central::Lost;
use serde::{Deserialize, Serialize};

use super::extract::Checked;
use super::{ApiError, ApiState, Endpoint};
use crate::central::{AcceptError, Acceptance};

/// The longest name of a stream that is worth looking for.
const MAX_NAME: usize = 64;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::get("/v1/health", health), Endpoint::post("/v1/central-streams/accept-loss", accept_loss)]
}

/// What needs somebody's attention, as far as this relay sees it by itself.
#[derive(Serialize)]
struct Health {
    well: bool,
    problems: Vec<Problem>,
}

#[derive(Serialize)]
struct Problem {
    check: &'static str,
    subject: String,
    found: String,
}

async fn health(State(state): State<ApiState>) -> Json<Health> {
    let lost = state.streams.central.lost().into_iter();
    let lost = lost.map(|(stream, lost)| Problem::lost(stream, &lost));
    let faults = state.streams.faults.all().into_iter();
    let faults = faults.map(|(region, found)| Problem { check: "stream", subject: region, found });
    let problems: Vec<_> = lost.chain(faults).collect();
    Json(Health { well: problems.is_empty(), problems })
}

impl Problem {
    fn lost(stream: String, lost: &Lost) -> Self {
        Self { check: "central stream", subject: stream, found: lost.to_string() }
    }
}

/// Which stream's loss is accepted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AcceptDocument {
    stream: String,
}

impl Document for AcceptDocument {
    fn check(&self) -> Result<(), Invalid> {
        match self.stream.len() {
            1..=MAX_NAME => Ok(()),
            _ => Err(Invalid::new("stream", "must be a stream's name, such as EVENTS_0")),
        }
    }
}

async fn accept_loss(
    State(state): State<ApiState>,
    Checked(AcceptDocument { stream }): Checked<AcceptDocument>,
) -> Result<Json<Acceptance>, ApiError> {
    Ok(Json(state.streams.central.accept(&stream).await?))
}

impl From<AcceptError> for ApiError {
    fn from(error: AcceptError) -> Self {
        match &error {
            AcceptError::NotLost(_) => Self::new(ProblemCode::Conflict, error.to_string()),
            AcceptError::Note(_) => Self::ours(ProblemCode::Unavailable, &error),
        }
    }
}
