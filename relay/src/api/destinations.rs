//! `/v1/destinations`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use floodgate_api::document::DestinationDocument;
use floodgate_control::view::DestinationView;
use floodgate_control::{Configuration, Kind, Refused, Scope};
use floodgate_event::Name;
use serde::Serialize;

use super::answer::{Listed, Put, Removed, Tagged};
use super::extract::{Checked, Expected, PathName, Wait, Write};
use super::{ApiError, ApiState, Endpoint, in_force, remove};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/v1/destinations", list),
        Endpoint::put("/v1/destinations/{name}", put),
        Endpoint::get("/v1/destinations/{name}", show),
        Endpoint::delete("/v1/destinations/{name}", delete),
    ]
}

/// A destination, what waits for it, and what it does not get at present.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    view: DestinationView<'a>,
    /// Why its deliveries are held, if they are: its secrets cannot be used.
    held: Option<String>,
    deliveries: Deliveries,
}

#[derive(Default, Serialize)]
struct Deliveries {
    /// Open, those that are held too.
    pending: u64,
    /// Given up after the last attempt, or after an answer of 410.
    dead: u64,
}

impl Deliveries {
    fn of(state: &ApiState, name: &Name) -> Self {
        let waiting = state.deliveries.iter().map(|deliveries| deliveries.waiting(name));
        waiting.fold(Self::default(), |sum, waiting| Self {
            pending: sum.pending + waiting.open,
            dead: sum.dead + waiting.dead,
        })
    }
}

async fn list(State(state): State<ApiState>) -> Response {
    let configuration = state.control.configuration();
    let items = configuration.destinations.iter();
    let items = items.map(|(name, stored)| shown(&state, name, DestinationView::new(name, stored)));
    Listed { revision: configuration.revision, items: items.collect() }.into_response()
}

async fn show(State(state): State<ApiState>, PathName(name): PathName) -> Result<Response, ApiError> {
    let configuration = state.control.configuration();
    match view(&configuration, &name) {
        Some(view) => {
            let tag = configuration.tag(Kind::Destination, &name);
            Ok(Tagged(tag, Json(shown(&state, &name, view))).into_response())
        }
        None => Err(Refused::NotFound { kind: Kind::Destination, name }.into()),
    }
}

fn shown<'a>(state: &ApiState, name: &Name, view: DestinationView<'a>) -> Shown<'a> {
    let routes = state.control.routes().borrow().clone();
    let held = routes.destinations.get(name).and_then(|destination| destination.unopened.clone());
    Shown { view, held, deliveries: Deliveries::of(state, name) }
}

async fn put(
    State(state): State<ApiState>,
    PathName(name): PathName,
    write: Write,
    Expected(expected): Expected,
    Checked(document): Checked<DestinationDocument>,
) -> Result<Response, ApiError> {
    let changed = state.control.put_destination(&name, &document, write.mode, &expected).await?;
    let in_force = in_force(&state, &changed, write, Scope::Routing).await;
    let warnings = state.control.warn_of_destination(&changed.after, &name).await;
    Ok(Put::new((Kind::Destination, &name), &changed, in_force, warnings, view).into_response())
}

async fn delete(
    State(state): State<ApiState>,
    PathName(name): PathName,
    Wait { wait }: Wait,
    Expected(expected): Expected,
) -> Result<Removed, ApiError> {
    remove(&state, (Kind::Destination, &name), wait, &expected, Scope::Routing).await
}

fn view<'a>(configuration: &'a Configuration, name: &'a Name) -> Option<DestinationView<'a>> {
    configuration.destinations.get(name).map(|destination| DestinationView::new(name, destination))
}
