//! `/v1/events?status=quarantined`: what handlers failed on.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use floodgate_api::document::Invalid;
use floodgate_api::event::{ListQuery, Quarantined, QuarantinedEvent};
use floodgate_api::paths;
use floodgate_api::time::rfc3339;
use floodgate_event::{Problem, ProblemCode};
use floodgate_replicate::dedup::ledger::LedgerError;
use floodgate_replicate::dedup::quarantine::{Key, Row};
use floodgate_replicate::lookup::Selection;
use utoipa_axum::routes;

use super::extract::page_limit;
use super::{ApiError, ApiState, Endpoint};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::quick(routes!(list))]
}

/// List quarantined events, newest first; other statuses are not listed yet.
#[utoipa::path(
    get,
    path = paths::EVENTS,
    operation_id = "list_events",
    tag = "events",
    params(ListQuery),
    responses(
        (status = 200, body = Quarantined, description = "A page, which may hold fewer events than asked for; `next` is null on the last"),
        (status = 400, response = Problem),
        (status = 401, response = Problem),
        (status = 422, response = Problem),
    )
)]
async fn list(
    State(state): State<ApiState>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Quarantined>, ApiError> {
    let Query(ListQuery { status, source, handler, limit, after }) = query?;
    if status.as_deref() != Some("quarantined") {
        let message = "this version lists `quarantined` events only: ?status=quarantined";
        return Err(Invalid::new("status", message).into());
    }
    let limit = page_limit(limit, ListQuery::DEFAULT_LIMIT, ListQuery::MAX_LIMIT)?;
    let after = after.map(|after| after.parse()).transpose();
    let after = after.map_err(|error: floodgate_replicate::dedup::quarantine::InvalidKey| {
        Invalid::new("after", error.to_string())
    })?;
    let selection = Selection { source, handler, ids: Vec::new() };
    let page = state.lookup.quarantined(&selection, after, limit)?;
    let items = page.rows.into_iter().map(|(key, row)| item(key, row)).collect();
    Ok(Json(Quarantined { items, next: page.next.map(|key| key.to_string()) }))
}

fn item(key: Key, row: Row) -> QuarantinedEvent {
    QuarantinedEvent {
        id: key.id.to_string(),
        status: "quarantined".to_owned(),
        source: row.source,
        event_type: row.event_type,
        region: row.region,
        handler: row.handler,
        version: row.handler_version,
        kind: row.kind,
        message: row.message,
        received_at: rfc3339(row.received_at_us),
        stored_at: rfc3339(key.appended_at_us),
    }
}

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        Self::ours(ProblemCode::Internal, &error)
    }
}
