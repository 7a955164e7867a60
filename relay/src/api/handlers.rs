//! `/v1/handlers`.

mod live;
mod logs;
mod rollout;

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use floodgate_api::answer::{Listed, Removed};
use floodgate_api::document::PromotionDocument;
use floodgate_api::paths;
use floodgate_api::query::{NamePath, Preconditions, WaitQuery};
use floodgate_api::schema::Component;
use floodgate_api::view::{HandlerView, Promoted, ShownHandler, Uploaded};
use floodgate_control::{Kind, MAX_COMPONENT_BYTES, Refused, Scope, view};
use floodgate_event::{Name, Problem};
use utoipa_axum::routes;

use super::answer::{Tagged, removed, status};
use super::extract::{Body, Checked, Expected, PathName, Wait};
use super::{ApiError, ApiState, Endpoint, awaited};

/// Waiting for a turn, a check of at most a minute, and writing the component.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(180);

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::quick(routes!(list)),
        Endpoint::upload(routes!(upload), MAX_COMPONENT_BYTES, UPLOAD_TIMEOUT),
        Endpoint::quick(routes!(show)),
        Endpoint::quick(routes!(delete)),
        Endpoint::asking(routes!(promote)),
        Endpoint::quick(routes!(rollout::roll_back)),
        Endpoint::asking(routes!(rollout::shadow)),
        Endpoint::asking(routes!(rollout::canary)),
        Endpoint::quick(routes!(rollout::stop)),
        Endpoint::quick(routes!(logs::follow)),
    ]
}

/// The answer once every region runs it, or does not yet.
async fn promoted(state: &ApiState, name: Name, promoted: u32, wait: Wait, revision: u64) -> Response {
    let in_force = awaited(state, revision, wait.wait, Scope::Handler(&name)).await;
    (status(Some(in_force)), Json(Promoted { name, promoted, revision, in_force })).into_response()
}

/// List handlers.
#[utoipa::path(
    get,
    path = paths::HANDLERS,
    operation_id = "list_handlers",
    tag = "handlers",
    responses(
        (status = 200, body = Listed<HandlerView>, description = "All handlers, by name"),
        (status = 401, response = Problem),
        (status = 503, response = Problem),
    )
)]
async fn list(State(state): State<ApiState>) -> Response {
    let configuration = state.control.configuration();
    let shown = |(name, handler)| view::handler(&configuration, name, handler);
    let items = configuration.handlers.iter().map(shown).collect();
    Json(Listed { revision: configuration.revision, items }).into_response()
}

/// Show a handler: its versions, and which is bound where.
#[utoipa::path(
    get,
    path = paths::HANDLER,
    operation_id = "show_handler",
    tag = "handlers",
    params(NamePath),
    responses(
        (status = 200, body = ShownHandler, description = "The handler", headers(("ETag" = String, description = "The version of the object, for `If-Match`"))),
        (status = 401, response = Problem),
        (status = 404, response = Problem),
    )
)]
async fn show(State(state): State<ApiState>, PathName(name): PathName) -> Result<Response, ApiError> {
    let configuration = state.control.configuration();
    let Some(handler) = configuration.handlers.get(&name) else {
        return Err(Refused::NotFound { kind: Kind::Handler, name }.into());
    };
    let reports = state.control.reports().await;
    let tag = configuration.tag(Kind::Handler, &name);
    let shown = live::shown(view::handler(&configuration, &name, handler), handler.trial_id(), &reports);
    Ok(Tagged(tag, Json(shown)).into_response())
}

/// Upload a component; the same bytes are the same version again.
#[utoipa::path(
    put,
    path = paths::HANDLER,
    operation_id = "upload_handler",
    tag = "handlers",
    params(NamePath, Preconditions),
    request_body(content = Component, content_type = "application/wasm", description = "The component"),
    responses(
        (status = 200, body = Uploaded, description = "Taken"),
        (status = 401, response = Problem),
        (status = 412, response = Problem),
        (status = 413, response = Problem),
        (status = 422, response = Problem),
        (status = 503, response = Problem),
    )
)]
async fn upload(
    State(state): State<ApiState>,
    PathName(name): PathName,
    Expected(expected): Expected,
    Body(component): Body,
) -> Result<Response, ApiError> {
    let uploaded = state.control.upload(&name, component, &expected).await?;
    let (version, digest, revision) = (uploaded.version, uploaded.digest, uploaded.revision);
    Ok(Json(Uploaded { name, version, digest, revision }).into_response())
}

/// Promote a version: sources whose binding names no version run it.
#[utoipa::path(
    post,
    path = paths::PROMOTE,
    operation_id = "promote_handler",
    tag = "handlers",
    params(NamePath, WaitQuery, Preconditions),
    request_body(content = PromotionDocument, description = "The version"),
    responses(
        (status = 200, body = Promoted, description = "Promoted; every region runs what it says"),
        (status = 202, body = Promoted, description = "Stored, and not in force yet: `in_force` is false"),
        (status = 401, response = Problem),
        (status = 404, response = Problem),
        (status = 412, response = Problem),
        (status = 422, response = Problem),
        (status = 503, response = Problem),
    )
)]
async fn promote(
    State(state): State<ApiState>,
    PathName(name): PathName,
    wait: Wait,
    Expected(expected): Expected,
    Checked(promotion): Checked<PromotionDocument>,
) -> Result<Response, ApiError> {
    let version = promotion.version.get();
    let revision = state.control.promote(&name, version, &expected).await?.after.revision;
    Ok(promoted(&state, name, version, wait, revision).await)
}

/// Delete a handler that no source binds.
#[utoipa::path(
    delete,
    path = paths::HANDLER,
    operation_id = "delete_handler",
    tag = "handlers",
    params(NamePath, Preconditions),
    responses(
        (status = 200, body = Removed, description = "Deleted"),
        (status = 401, response = Problem),
        (status = 404, response = Problem),
        (status = 409, response = Problem),
        (status = 412, response = Problem),
        (status = 503, response = Problem),
    )
)]
async fn delete(
    State(state): State<ApiState>,
    PathName(name): PathName,
    Expected(expected): Expected,
) -> Result<Response, ApiError> {
    let changed = state.control.delete(Kind::Handler, &name, &expected).await?;
    Ok(removed(Removed { name, revision: changed.after.revision, in_force: None }))
}
