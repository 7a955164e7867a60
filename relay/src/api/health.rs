//! Whether the relay is alive, and whether it can do its work; for balancers and
//! supervisors, without a token.

use axum::extract::State;
use floodgate_event::ProblemCode;

use super::{ApiError, ApiState, Endpoint};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::get("/healthz", alive), Endpoint::get("/readyz", ready)]
}

async fn alive() -> &'static str {
    "ok\n"
}

async fn ready(State(state): State<ApiState>) -> Result<&'static str, ApiError> {
    if state.control.is_ready() {
        Ok("ok\n")
    } else {
        Err(ApiError::new(ProblemCode::Unavailable, "the centre did not answer when it was last asked"))
    }
}
