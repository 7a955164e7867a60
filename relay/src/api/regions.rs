//! `/v1/regions`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::answer::Listed;
use super::{ApiState, Endpoint};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::get("/v1/regions", list)]
}

async fn list(State(state): State<ApiState>) -> Response {
    let revision = state.control.configuration().revision;
    Listed { revision, items: state.control.regions().await }.into_response()
}
