//! Which version of a handler runs.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use floodgate_api::document::{CanaryDocument, RollbackDocument, ShadowDocument};
use floodgate_api::paths;
use floodgate_api::query::{NamePath, Preconditions, WaitQuery};
use floodgate_api::view::{Change, Promoted};
use floodgate_control::{Changed, Scope};
use floodgate_event::{Name, Problem};

use super::promoted;
use crate::api::answer::status;
use crate::api::extract::{Checked, Expected, PathName, Wait};
use crate::api::{ApiError, ApiState, awaited};

/// The answer once every region runs what the change says, or does not yet.
async fn made(state: &ApiState, name: Name, wait: Wait, changed: &Changed<()>) -> Response {
    let revision = changed.after.revision;
    let in_force = awaited(state, revision, wait.wait, Scope::Handler(&name)).await;
    (status(Some(in_force)), Json(Change { name, revision, in_force })).into_response()
}

/// End the rollout that is under way. If there is none, promote the version that was promoted before.
#[utoipa::path(
    post,
    path = paths::ROLLBACK,
    operation_id = "roll_back_handler",
    tag = "handlers",
    params(NamePath, WaitQuery, Preconditions),
    request_body(content = RollbackDocument, description = "An empty object"),
    responses(
        (status = 200, body = Promoted, description = "Promoted again; every region runs what it says"),
        (status = 202, body = Promoted, description = "Stored, and not in force yet: `in_force` is false"),
        (status = 401, response = Problem),
        (status = 404, response = Problem),
        (status = 409, response = Problem),
        (status = 412, response = Problem),
        (status = 422, response = Problem),
        (status = 503, response = Problem),
    )
)]
pub(super) async fn roll_back(
    State(state): State<ApiState>,
    PathName(name): PathName,
    wait: Wait,
    Expected(expected): Expected,
    Checked(RollbackDocument {}): Checked<RollbackDocument>,
) -> Result<Response, ApiError> {
    let changed = state.control.roll_back(&name, &expected).await?;
    Ok(promoted(&state, name, changed.value, wait, changed.after.revision).await)
}

/// Run a version on a share of the events beside the promoted one, without effect, and compare.
#[utoipa::path(
    post,
    path = paths::SHADOW,
    operation_id = "shadow_handler",
    tag = "handlers",
    params(NamePath, WaitQuery, Preconditions),
    request_body(content = ShadowDocument, description = "The version, and on how many events it runs"),
    responses(
        (status = 200, body = Change, description = "Begun; every region runs what it says"),
        (status = 202, body = Change, description = "Stored, and not in force yet: `in_force` is false"),
        (status = 401, response = Problem),
        (status = 404, response = Problem),
        (status = 409, response = Problem),
        (status = 412, response = Problem),
        (status = 422, response = Problem),
        (status = 503, response = Problem),
    )
)]
pub(super) async fn shadow(
    State(state): State<ApiState>,
    PathName(name): PathName,
    wait: Wait,
    Expected(expected): Expected,
    Checked(document): Checked<ShadowDocument>,
) -> Result<Response, ApiError> {
    let changed = state.control.shadow(&name, &document, &expected).await?;
    Ok(made(&state, name, wait, &changed).await)
}

/// Let a version take over step by step; it is rolled back by itself when it goes over its budget.
#[utoipa::path(
    post,
    path = paths::CANARY,
    operation_id = "canary_handler",
    tag = "handlers",
    params(NamePath, WaitQuery, Preconditions),
    request_body(content = CanaryDocument, description = "The version, its steps, and what it may do worse"),
    responses(
        (status = 200, body = Change, description = "Begun; every region runs what it says"),
        (status = 202, body = Change, description = "Stored, and not in force yet: `in_force` is false"),
        (status = 401, response = Problem),
        (status = 404, response = Problem),
        (status = 409, response = Problem),
        (status = 412, response = Problem),
        (status = 422, response = Problem),
        (status = 503, response = Problem),
    )
)]
pub(super) async fn canary(
    State(state): State<ApiState>,
    PathName(name): PathName,
    wait: Wait,
    Expected(expected): Expected,
    Checked(document): Checked<CanaryDocument>,
) -> Result<Response, ApiError> {
    let changed = state.control.canary(&name, &document, &expected).await?;
    Ok(made(&state, name, wait, &changed).await)
}

/// End a shadow or a canary; the promoted version stays.
#[utoipa::path(
    delete,
    path = paths::ROLLOUT,
    operation_id = "stop_rollout",
    tag = "handlers",
    params(NamePath, WaitQuery, Preconditions),
    responses(
        (status = 200, body = Change, description = "Ended, or there was none; every region runs what it says"),
        (status = 202, body = Change, description = "Stored, and not in force yet: `in_force` is false"),
        (status = 401, response = Problem),
        (status = 404, response = Problem),
        (status = 412, response = Problem),
        (status = 503, response = Problem),
    )
)]
pub(super) async fn stop(
    State(state): State<ApiState>,
    PathName(name): PathName,
    wait: Wait,
    Expected(expected): Expected,
) -> Result<Response, ApiError> {
    let changed = state.control.stop_rollout(&name, &expected).await?;
    Ok(made(&state, name, wait, &changed).await)
}
