//! `/v1/replays`: quarantined events once more through their handlers.

use std::num::NonZeroU32;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use floodgate_api::document::{Document, Invalid};
use floodgate_control::{Kind, Refused, Version};
use floodgate_event::{EventId, Name, ProblemCode};
use floodgate_replicate::lookup::{NotTaken, Selection};
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

use super::extract::Checked;
use super::{ApiError, ApiState, Endpoint};
use crate::replay::{JobView, Order, StartError};

/// Events that a filter may name.
const MAX_IDS: usize = 1_000;
/// Events per second, where the caller does not say: little beside what a gateway takes in.
const DEFAULT_RATE: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);
/// The most events per second.
const MAX_RATE: u32 = 10_000;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::post("/v1/replays", start),
        Endpoint::get("/v1/replays/{id}", show),
        Endpoint::delete("/v1/replays/{id}", cancel),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplayDocument {
    filter: Filter,
    handler: Option<Pinned>,
    rate_per_second: Option<NonZeroU32>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    /// There is one as yet, and it has to be said.
    #[serde(rename = "status")]
    _status: Status,
    source: Option<Name>,
    handler: Option<Name>,
    #[serde(default, deserialize_with = "event_ids")]
    ids: Option<Vec<EventId>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Quarantined,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pinned {
    name: Name,
    version: NonZeroU32,
}

/// What a replay would take.
#[derive(Serialize)]
struct Preview {
    dry_run: bool,
    matched: u64,
    /// Those of `filter.ids` that it would not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_taken: Vec<NotTaken>,
}

impl Document for ReplayDocument {
    fn check(&self) -> Result<(), Invalid> {
        let ids = self.filter.ids.as_ref().map_or(1, Vec::len);
        if !(1..=MAX_IDS).contains(&ids) {
            let message = format!("{ids} ids: expected 1 to {MAX_IDS}, or none of the field");
            return Err(Invalid::new("filter.ids", message));
        }
        match self.rate_per_second {
            Some(rate) if rate.get() > MAX_RATE => {
                let message = format!("{rate} is out of range: expected 1 to {MAX_RATE}");
                Err(Invalid::new("rate_per_second", message))
            }
            _ => Ok(()),
        }
    }
}

fn event_ids<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<EventId>>, D::Error> {
    let texts = Option::<Vec<String>>::deserialize(from)?;
    let parse = |text: String| text.parse().map_err(|error| D::Error::custom(format!("`{text}`: {error}")));
    texts.map(|texts| texts.into_iter().map(parse).collect()).transpose()
}

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
        return Ok(Json(Preview { dry_run, matched, not_taken }).into_response());
    }
    let rate = rate_per_second.unwrap_or(DEFAULT_RATE);
    let started = state.replays.start(Order { selection, handler, rate }).await?;
    Ok((StatusCode::ACCEPTED, Json(started)).into_response())
}

fn version(state: &ApiState, pinned: &Pinned) -> Result<Version, ApiError> {
    let Pinned { name, version } = pinned;
    if let Some(known) = state.control.version(name, version.get()) {
        return Ok(known);
    }
    if !state.control.configuration().handlers.contains_key(name) {
        return Err(Refused::NotFound { kind: Kind::Handler, name: name.clone() }.into());
    }
    Err(Invalid::new("handler.version", format!("handler `{name}` has no version {version}")).into())
}

async fn show(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<JobView>, ApiError> {
    state.replays.get(&id).map(Json).ok_or_else(|| unknown(&id))
}

async fn cancel(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<JobView>, ApiError> {
    state.replays.cancel(&id).map(Json).ok_or_else(|| unknown(&id))
}

fn unknown(id: &str) -> ApiError {
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

#[cfg(test)]
mod tests {
    use super::*;
    use floodgate_api::document::read_json;

    fn refusal(document: &str) -> String {
        match read_json::<ReplayDocument>(document.as_bytes()) {
            Ok(_) => "taken".to_owned(),
            Err(invalid) => invalid.to_string(),
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let id = EventId::from([1; 16]);
        for (document, said) in [
            (r#"{"filter": {}}"#.to_owned(), "`filter`: missing field `status`"),
            (r#"{"filter": {"status": "dead"}}"#.to_owned(), "`filter.status`: unknown value `dead`"),
            (
                r#"{"filter": {"status": "quarantined", "type": "x"}}"#.to_owned(),
                "`filter.type`: unknown field",
            ),
            (r#"{"filter": {"status": "quarantined", "ids": []}}"#.to_owned(), "`filter.ids`: 0 ids"),
            (
                r#"{"filter": {"status": "quarantined", "ids": ["evt_1"]}}"#.to_owned(),
                "`filter.ids`: `evt_1`: not an",
            ),
            (
                r#"{"filter": {"status": "quarantined"}, "rate_per_second": 10001}"#.to_owned(),
                "`rate_per_second`: 10001",
            ),
            (format!(r#"{{"filter": {{"status": "quarantined", "ids": ["{id}"]}}}}"#), "taken"),
        ] {
            let refused = refusal(&document);
            assert!(refused.starts_with(said), "{document}: {refused}");
        }
    }
}
