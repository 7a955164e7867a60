//! `/v1/destinations`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use floodgate_event::Name;
use serde::Serialize;

use super::answer::{Listed, Put, Removed};
use super::extract::{Checked, PathName};
use super::{ApiError, ApiState, Endpoint};
use crate::control::document::DestinationDocument;
use crate::control::view::DestinationView;
use crate::control::{Configuration, Kind, Mode, Refused};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/v1/destinations", list),
        Endpoint::put("/v1/destinations/{name}", put),
        Endpoint::get("/v1/destinations/{name}", show),
        Endpoint::delete("/v1/destinations/{name}", delete),
    ]
}

/// A destination, and what waits for it.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    destination: DestinationView<'a>,
    deliveries: Deliveries,
}

#[derive(Default, Serialize)]
struct Deliveries {
    /// Open, those that are held too.
    pending: u64,
    /// Given up after the last attempt, or after an answer of 410.
    dead: u64,
}

impl<'a> Shown<'a> {
    fn new(destination: DestinationView<'a>, name: &Name, state: &ApiState) -> Self {
        let waiting = state.lookup.shards().iter().map(|shard| shard.deliveries.waiting(name));
        let deliveries = waiting.fold(Deliveries::default(), |sum, waiting| Deliveries {
            pending: sum.pending + waiting.open,
            dead: sum.dead + waiting.dead,
        });
        Self { destination, deliveries }
    }
}

async fn list(State(state): State<ApiState>) -> Response {
    let configuration = state.control.configuration();
    let shown = |(name, destination)| Shown::new(DestinationView::new(name, destination), name, &state);
    let items = configuration.destinations.iter().map(shown).collect();
    Listed { revision: configuration.revision, items }.into_response()
}

async fn show(State(state): State<ApiState>, PathName(name): PathName) -> Result<Response, ApiError> {
    let configuration = state.control.configuration();
    match view(&configuration, &name) {
        Some(view) => Ok(Json(Shown::new(view, &name, &state)).into_response()),
        None => Err(Refused::NotFound { kind: Kind::Destination, name }.into()),
    }
}

async fn put(
    State(state): State<ApiState>,
    PathName(name): PathName,
    mode: Mode,
    Checked(document): Checked<DestinationDocument>,
) -> Result<Response, ApiError> {
    let changed = state.control.put_destination(&name, &document, mode).await?;
    Ok(Put::new(&name, mode, &changed, view).into_response())
}

async fn delete(State(state): State<ApiState>, PathName(name): PathName) -> Result<Removed, ApiError> {
    let changed = state.control.delete(Kind::Destination, &name).await?;
    Ok(Removed { name, revision: changed.after.revision })
}

fn view<'a>(configuration: &'a Configuration, name: &'a Name) -> Option<DestinationView<'a>> {
    configuration.destinations.get(name).map(|destination| DestinationView::new(name, destination))
}
