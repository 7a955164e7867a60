//! `/v1/destinations`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use floodgate_event::Name;

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

async fn list(State(state): State<ApiState>) -> Response {
    let configuration = state.control.configuration();
    let items =
        configuration.destinations.iter().map(|(name, destination)| DestinationView::new(name, destination));
    Listed { revision: configuration.revision, items: items.collect() }.into_response()
}

async fn show(State(state): State<ApiState>, PathName(name): PathName) -> Result<Response, ApiError> {
    let configuration = state.control.configuration();
    match view(&configuration, &name) {
        Some(view) => Ok(Json(view).into_response()),
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
