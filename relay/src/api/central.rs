//! `/v1/health` and `/v1/central-streams`: what needs attention, and continuing without what is lost.

use axum::Json;
use axum::extract::State;
use floodgate_api::central::{self, AcceptDocument, Acceptance, Health};
use floodgate_api::paths;
use floodgate_event::central::Lost;
use floodgate_event::{Problem, ProblemCode};
use utoipa_axum::routes;

use super::extract::Checked;
use super::{ApiError, ApiState, Endpoint};
use crate::central::AcceptError;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::quick(routes!(health)), Endpoint::quick(routes!(accept_loss))]
}

/// What needs somebody's attention, as far as this relay sees it by itself.
#[utoipa::path(
    get,
    path = paths::HEALTH,
    operation_id = "health",
    tag = "centre",
    responses(
        (status = 200, body = Health, description = "All is well, or what is not"),
        (status = 401, response = Problem),
    )
)]
async fn health(State(state): State<ApiState>) -> Json<Health> {
    let lost = state.streams.central.lost().into_iter();
    let lost = lost.map(|(stream, lost)| lost_stream(stream, &lost));
    let faults = state.streams.faults.all().into_iter();
    let faults =
        faults.map(|(region, found)| central::Problem { check: "stream".to_owned(), subject: region, found });
    let problems: Vec<_> = lost.chain(faults).collect();
    Json(Health { well: problems.is_empty(), problems })
}

fn lost_stream(stream: String, lost: &Lost) -> central::Problem {
    central::Problem { check: "central stream".to_owned(), subject: stream, found: lost.to_string() }
}

/// Accept what a stream of the centre has lost, and continue with what is left of it.
#[utoipa::path(
    post,
    path = paths::ACCEPT_LOSS,
    operation_id = "accept_loss",
    tag = "centre",
    request_body(content = AcceptDocument, description = "The stream"),
    responses(
        (status = 200, body = Acceptance, description = "What was lost, and up to where what was read of the stream remains valid"),
        (status = 401, response = Problem),
        (status = 409, response = Problem),
        (status = 422, response = Problem),
        (status = 503, response = Problem),
    )
)]
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
