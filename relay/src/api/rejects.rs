//! `/v1/rejects`: what gateways refused.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use floodgate_api::document::Invalid;
use floodgate_api::paths;
use floodgate_api::reject::{
    HeldReplay, HeldReplayDocument, Reject, RejectedHeader, RejectedRequest, Rejects, RejectsQuery,
};
use floodgate_api::replay::ReplayDocument;
use floodgate_api::time::{parse_rfc3339, rfc3339};
use floodgate_event::{Problem, ProblemCode, proto};
use floodgate_replicate::rejects::{InvalidKey, ListError, Row, Selection};
use utoipa_axum::routes;

use super::extract::{Checked, page_limit};
use super::replays::unknown;
use super::{ApiError, ApiState, Endpoint};
use crate::held::{HeldError, HeldOrder};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::quick(routes!(list)),
        Endpoint::quick(routes!(start)),
        Endpoint::quick(routes!(show)),
        Endpoint::quick(routes!(cancel)),
    ]
}

/// List refused requests, newest first.
///
/// Gateways record what they refuse, within limits for each address and source, and the relay copies the
/// records within seconds. What is over the limits is counted in `left_out`.
#[utoipa::path(
    get,
    path = paths::REJECTS,
    operation_id = "list_rejects",
    tag = "rejects",
    params(RejectsQuery),
    responses(
        (status = 200, body = Rejects, description = "A page, which may hold fewer rows than asked for; `next` is null on the last"),
        (status = 400, response = Problem),
        (status = 401, response = Problem),
        (status = 422, response = Problem),
        (status = 503, response = Problem),
    )
)]
async fn list(
    State(state): State<ApiState>,
    query: Result<Query<RejectsQuery>, QueryRejection>,
) -> Result<Json<Rejects>, ApiError> {
    let Query(query) = query?;
    let limit = page_limit(query.limit, RejectsQuery::DEFAULT_LIMIT, RejectsQuery::MAX_LIMIT)?;
    let after = query.after.as_deref().map(str::parse).transpose();
    let after = after.map_err(|error: InvalidKey| Invalid::new("after", error.to_string()))?;
    let page = state.rejects.page(&selection(query)?, after, limit).await?;
    let items = page.rows.into_iter().map(item).collect();
    Ok(Json(Rejects { items, next: page.next.map(|key| key.to_string()) }))
}

/// Verify held requests again.
///
/// A gateway of its region opens and verifies each: by the source as it is now, and with the time of receipt
/// as `now`. A request that verifies becomes an event, and is no longer held. The relay that was asked keeps
/// the last 16 replays in its memory, of which one may run.
#[utoipa::path(
    post,
    path = paths::HELD_REPLAYS,
    operation_id = "start_held_replay",
    tag = "rejects",
    request_body(content = HeldReplayDocument, description = "Which requests are verified, and how"),
    responses(
        (status = 202, body = HeldReplay, description = "Started"),
        (status = 401, response = Problem),
        (status = 409, response = Problem),
        (status = 422, response = Problem),
        (status = 503, response = Problem),
    )
)]
async fn start(
    State(state): State<ApiState>,
    Checked(document): Checked<HeldReplayDocument>,
) -> Result<(StatusCode, Json<HeldReplay>), ApiError> {
    let HeldReplayDocument { source, region, peer, rate_per_second, dry_run } = document;
    if !state.control.configuration().sources.contains_key(&source) {
        // What is held for a source that was deleted cannot verify either.
        return Err(Invalid::new("source", format!("there is no source `{source}`")).into());
    }
    let rate = rate_per_second.unwrap_or(ReplayDocument::DEFAULT_RATE);
    let started = state.held_replays.start(HeldOrder { source, region, peer, rate, dry_run }).await?;
    Ok((StatusCode::ACCEPTED, Json(started)))
}

/// How far a replay of held requests is.
#[utoipa::path(
    get,
    path = paths::HELD_REPLAY,
    operation_id = "show_held_replay",
    tag = "rejects",
    params(("id" = String, Path, description = "The replay's id", pattern = "^rpl_[0-9a-z]{26}$")),
    responses(
        (status = 200, body = HeldReplay, description = "How far it is"),
        (status = 401, response = Problem),
        (status = 404, response = Problem),
    )
)]
async fn show(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<HeldReplay>, ApiError> {
    state.held_replays.get(&id).map(Json).ok_or_else(|| unknown(&id))
}

/// Cancel a replay of held requests. Gateways finish the requests that they already have.
#[utoipa::path(
    delete,
    path = paths::HELD_REPLAY,
    operation_id = "cancel_held_replay",
    tag = "rejects",
    params(("id" = String, Path, description = "The replay's id", pattern = "^rpl_[0-9a-z]{26}$")),
    responses(
        (status = 200, body = HeldReplay, description = "How far it is"),
        (status = 401, response = Problem),
        (status = 404, response = Problem),
    )
)]
async fn cancel(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<HeldReplay>, ApiError> {
    state.held_replays.cancel(&id).map(Json).ok_or_else(|| unknown(&id))
}

fn selection(query: RejectsQuery) -> Result<Selection, Invalid> {
    let RejectsQuery { region, source, code, peer, from, to, .. } = query;
    let source = source.map(|source| if source == RejectsQuery::NO_SOURCE { String::new() } else { source });
    Ok(Selection {
        region,
        source,
        code,
        peer,
        from_us: from.map(|at| time("from", &at)).transpose()?,
        to_us: to.map(|at| time("to", &at)).transpose()?,
    })
}

fn time(path: &str, text: &str) -> Result<u64, Invalid> {
    let expected = || Invalid::new(path, "expected a time as in RFC 3339, such as 2026-01-31T12:00:00Z");
    parse_rfc3339(text).ok_or_else(expected)
}

fn item(Row { region, gateway, reject, .. }: Row) -> Reject {
    let some = |text: String| (!text.is_empty()).then_some(text);
    let body_bytes = reject.body_bytes;
    Reject {
        id: reject.id,
        at: rfc3339(reject.at_us),
        region,
        gateway,
        source: some(reject.source),
        tenant: some(reject.tenant),
        code: reject.code,
        status: (reject.status != 0).then_some(reject.status),
        step: some(reject.step),
        reason: reject.reason,
        scheme: some(reject.scheme),
        peer: reject.peer,
        count: reject.count,
        first_at: rfc3339(reject.first_at_us),
        left_out: reject.left_out,
        held: reject.held,
        request: reject.request.map(|request| shown(request, body_bytes)),
    }
}

fn shown(request: proto::Request, body_bytes: Option<u64>) -> RejectedRequest {
    let header = |header: proto::Header| RejectedHeader {
        name: header.name,
        value: String::from_utf8_lossy(&header.value).into_owned(),
    };
    RejectedRequest {
        method: request.method,
        path: request.path,
        query: request.query,
        headers: request.headers.into_iter().map(header).collect(),
        body: request.raw.map(|start| String::from_utf8_lossy(&start).into_owned()),
        body_bytes,
    }
}

impl From<HeldError> for ApiError {
    fn from(error: HeldError) -> Self {
        match error {
            HeldError::Busy => Self::new(ProblemCode::Conflict, error.to_string()),
            HeldError::UnknownRegion { .. } => Invalid::new("region", error.to_string()).into(),
            HeldError::Region { .. } => Self::new(ProblemCode::Unavailable, error.to_string()),
        }
    }
}

impl From<ListError> for ApiError {
    fn from(error: ListError) -> Self {
        Self::ours(ProblemCode::Unavailable, &error)
    }
}
