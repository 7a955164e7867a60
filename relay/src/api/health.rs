//! Whether the relay is alive, and whether it can do its work; for balancers and
//! supervisors, without a token.

use axum::extract::State;
use floodgate_api::paths;
use floodgate_event::{Problem, ProblemCode};
use utoipa_axum::routes;

use super::{ApiError, ApiState, Endpoint};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::quick(routes!(alive)), Endpoint::quick(routes!(ready))]
}

/// Whether the relay is alive.
#[utoipa::path(
    get,
    path = paths::ALIVE,
    operation_id = "alive",
    tag = "health",
    security(()),
    responses(
        (status = 200, description = "It is"),
    )
)]
async fn alive() -> &'static str {
    "ok\n"
}

/// Whether the relay reaches the centre.
#[utoipa::path(
    get,
    path = paths::READY,
    operation_id = "ready",
    tag = "health",
    security(()),
    responses(
        (status = 200, description = "It does"),
        (status = 503, response = Problem),
    )
)]
async fn ready(State(state): State<ApiState>) -> Result<&'static str, ApiError> {
    if state.control.is_ready() {
        Ok("ok\n")
    } else {
        Err(ApiError::new(ProblemCode::Unavailable, "the centre did not answer when it was last asked"))
    }
}
