//! `/v1/events?status=quarantined`: what handlers failed on.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use floodgate_api::document::Invalid;
use floodgate_event::time::from_unix_micros;
use floodgate_event::{Name, ProblemCode};
use floodgate_replicate::dedup::ledger::LedgerError;
use floodgate_replicate::dedup::quarantine::{Key, Row};
use floodgate_replicate::lookup::Selection;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{ApiError, ApiState, Endpoint};

/// Events of a page, where the caller does not say.
const DEFAULT_LIMIT: usize = 100;
/// The most events of a page.
const MAX_LIMIT: usize = 1_000;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::get("/v1/events", list)]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    status: Option<String>,
    source: Option<Name>,
    handler: Option<Name>,
    limit: Option<usize>,
    after: Option<String>,
}

#[derive(Serialize)]
struct Listing {
    items: Vec<Item>,
    /// What `after` is for the page behind this one.
    next: Option<String>,
}

#[derive(Serialize)]
struct Item {
    id: String,
    status: &'static str,
    source: String,
    #[serde(rename = "type")]
    event_type: String,
    region: String,
    /// What failed on it.
    handler: String,
    version: u32,
    kind: String,
    message: String,
    #[serde(with = "time::serde::rfc3339")]
    received_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    stored_at: OffsetDateTime,
}

async fn list(
    State(state): State<ApiState>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Listing>, ApiError> {
    let Query(ListQuery { status, source, handler, limit, after }) = query?;
    if status.as_deref() != Some("quarantined") {
        return Err(invalid("status", "this version lists `quarantined` events only: ?status=quarantined"));
    }
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(invalid("limit", format!("{limit} is out of range: expected 1 to {MAX_LIMIT}")));
    }
    let after = after.map(|after| after.parse()).transpose();
    let after = after.map_err(|error: floodgate_replicate::dedup::quarantine::InvalidKey| {
        invalid("after", error.to_string())
    })?;
    let selection = Selection { source, handler, ids: Vec::new() };
    let page = state.lookup.quarantined(&selection, after, limit)?;
    let items = page.rows.into_iter().map(|(key, row)| Item::new(key, row)).collect();
    Ok(Json(Listing { items, next: page.next.map(|key| key.to_string()) }))
}

fn invalid(path: &str, message: impl Into<String>) -> ApiError {
    Invalid { path: path.to_owned(), message: message.into() }.into()
}

impl Item {
    fn new(key: Key, row: Row) -> Self {
        Self {
            id: key.id.to_string(),
            status: "quarantined",
            source: row.source,
            event_type: row.event_type,
            region: row.region,
            handler: row.handler,
            version: row.handler_version,
            kind: row.kind,
            message: row.message,
            received_at: from_unix_micros(row.received_at_us).into(),
            stored_at: from_unix_micros(key.appended_at_us).into(),
        }
    }
}

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        Self::ours(ProblemCode::Internal, &error)
    }
}
