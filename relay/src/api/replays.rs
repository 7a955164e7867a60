//! `/v1/replays`: quarantined events once more through their handlers.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use floodgate_api::document::Invalid;
use floodgate_api::paths;
use floodgate_api::replay::{EventError, Filter, Pinned, Preview, Progress, ReplayDocument};
use floodgate_control::{Kind, PinnedVersion, Refused};
use floodgate_event::{Problem, ProblemCode};
use floodgate_replicate::lookup::{NotTaken, Selection};
use utoipa_axum::routes;

use super::extract::Checked;
use super::{ApiError, ApiState, Endpoint};
use crate::replay::{Order, StartError};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::quick(routes!(start)), Endpoint::quick(routes!(show)), Endpoint::quick(routes!(cancel))]
}

/// Run quarantined events through their handlers again.
///
/// Each event passes its source's handlers as they are bound now, with `handler` instead of the version that
/// is bound under its name, and then the same stages as any event. Replaying twice is harmless. The relay
/// that was asked keeps the last 16 replays in its memory, of which 2 may run.
#[utoipa::path(
    post,
    path = paths::REPLAYS,
    operation_id = "start_replay",
    tag = "replays",
    request_body(content = ReplayDocument, description = "Which events are replayed, and how"),
    responses(
        (status = 200, body = Preview, description = "With dry_run: what would be replayed"),
        (status = 202, body = Progress, description = "Started"),
        (status = 401, response = Problem),
        (status = 404, response = Problem),
        (status = 409, response = Problem),
        (status = 422, response = Problem),
    )
)]
async fn start(
    State(state): State<ApiState>,
    Checked(document): Checked<ReplayDocument>,
) -> Result<Response, ApiError> {
    let ReplayDocument { filter, handler, rate_per_second, dry_run } = document;
    let handler = handler.map(|pinned| version(&state, &pinned)).transpose()?;
    let Filter { source, handler: failed_on, ids, .. } = filter;
    let selection = Selection { source, handler: failed_on, ids: ids.unwrap_or_default() };
    if dry_run {
        let (matched, not_taken) = state.replays.count(&selection).await?;
        let not_taken = not_taken.into_iter().map(not_taken_event).collect();
        return Ok(Json(Preview { dry_run, matched, not_taken }).into_response());
    }
    let rate = rate_per_second.unwrap_or(ReplayDocument::DEFAULT_RATE);
    let started = state.replays.start(Order { selection, handler, rate }).await?;
    Ok((StatusCode::ACCEPTED, Json(started)).into_response())
}

fn not_taken_event(event: NotTaken) -> EventError {
    EventError { id: event.id.to_string(), error: event.reason }
}

fn version(state: &ApiState, pinned: &Pinned) -> Result<PinnedVersion, ApiError> {
    let Pinned { name, version } = pinned;
    if let Some(known) = state.control.pinned_version(name, version.get()) {
        return Ok(known);
    }
    if !state.control.configuration().handlers.contains_key(name) {
        return Err(Refused::NotFound { kind: Kind::Handler, name: name.clone() }.into());
    }
    Err(Invalid::new("handler.version", format!("handler `{name}` has no version {version}")).into())
}

/// How far a replay is.
#[utoipa::path(
    get,
    path = paths::REPLAY,
    operation_id = "show_replay",
    tag = "replays",
    params(("id" = String, Path, description = "The replay's id", pattern = "^rpl_[0-9a-z]{26}$")),
    responses(
        (status = 200, body = Progress, description = "How far it is"),
        (status = 401, response = Problem),
        (status = 404, response = Problem),
    )
)]
async fn show(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<Progress>, ApiError> {
    state.replays.get(&id).map(Json).ok_or_else(|| unknown(&id))
}

/// Cancel a replay. Gateways finish the events that they already have.
#[utoipa::path(
    delete,
    path = paths::REPLAY,
    operation_id = "cancel_replay",
    tag = "replays",
    params(("id" = String, Path, description = "The replay's id", pattern = "^rpl_[0-9a-z]{26}$")),
    responses(
        (status = 200, body = Progress, description = "How far it is"),
        (status = 401, response = Problem),
        (status = 404, response = Problem),
    )
)]
async fn cancel(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<Progress>, ApiError> {
    state.replays.cancel(&id).map(Json).ok_or_else(|| unknown(&id))
}

pub(super) fn unknown(id: &str) -> ApiError {
    let detail =
        format!("this relay knows no replay `{id}`: it remembers the last ones, until it is stopped");
    ApiError::new(ProblemCode::NotFound, detail)
}

impl From<StartError> for ApiError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Busy => Self::new(ProblemCode::Conflict, error.to_string()),
            StartError::Ledger(error) => error.into(),
            StartError::Lookup(error) => error.into(),
        }
    }
}
