//! `/v1/destinations`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use floodgate_api::answer::{Listed, Put, Removed};
use floodgate_api::document::DestinationDocument;
use floodgate_api::paths;
use floodgate_api::query::{NamePath, Preconditions, WaitQuery, WriteQuery};
use floodgate_api::view::{DestinationView, ShownDestination, Waiting};
use floodgate_control::{Configuration, Kind, Refused, Scope, view};
use floodgate_event::{Name, Problem};
use utoipa_axum::routes;

use super::answer::{self, Tagged};
use super::extract::{Checked, Expected, PathName, Wait, Write};
use super::{ApiError, ApiState, Endpoint, in_force, remove};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::quick(routes!(list)),
        Endpoint::quick(routes!(put)),
        Endpoint::quick(routes!(show)),
        Endpoint::quick(routes!(delete)),
    ]
}

fn waiting(state: &ApiState, name: &Name) -> Waiting {
    let waiting = state.deliveries.iter().map(|deliveries| deliveries.backlog(name));
    waiting.fold(Waiting::default(), |sum, backlog| Waiting {
        pending: sum.pending + backlog.open,
        dead: sum.dead + backlog.dead,
    })
}

/// List destinations.
#[utoipa::path(
    get,
    path = paths::DESTINATIONS,
    operation_id = "list_destinations",
    tag = "destinations",
    responses(
        (status = 200, body = Listed<ShownDestination>, description = "All destinations, by name"),
        (status = 401, response = Problem),
        (status = 503, response = Problem),
    )
)]
async fn list(State(state): State<ApiState>) -> Response {
    let configuration = state.control.configuration();
    let items = configuration.destinations.iter();
    let items = items.map(|(name, stored)| shown(&state, name, view::destination(name, stored)));
    Json(Listed { revision: configuration.revision, items: items.collect() }).into_response()
}

/// Show a destination.
#[utoipa::path(
    get,
    path = paths::DESTINATION,
    operation_id = "show_destination",
    tag = "destinations",
    params(NamePath),
    responses(
        (status = 200, body = ShownDestination, description = "The destination; of secrets only the ids", headers(("ETag" = String, description = "The version of the object, for `If-Match`"))),
        (status = 401, response = Problem),
        (status = 404, response = Problem),
    )
)]
async fn show(State(state): State<ApiState>, PathName(name): PathName) -> Result<Response, ApiError> {
    let configuration = state.control.configuration();
    match view_of(&configuration, &name) {
        Some(view) => {
            let tag = configuration.tag(Kind::Destination, &name);
            Ok(Tagged(tag, Json(shown(&state, &name, view))).into_response())
        }
        None => Err(Refused::NotFound { kind: Kind::Destination, name }.into()),
    }
}

fn shown(state: &ApiState, name: &Name, view: DestinationView) -> ShownDestination {
    let routes = state.control.routes().borrow().clone();
    let held = routes.destinations.get(name).and_then(|destination| destination.secrets_error.clone());
    ShownDestination { view, held, deliveries: waiting(state, name) }
}

/// Create or replace a destination.
#[utoipa::path(
    put,
    path = paths::DESTINATION,
    operation_id = "put_destination",
    tag = "destinations",
    params(NamePath, WriteQuery, Preconditions),
    request_body(content = DestinationDocument, description = "The destination"),
    responses(
        (status = 200, body = Put<DestinationView>, description = "Made, or the same already; with dry_run, what would be made; it is in force", headers(("ETag" = String, description = "The version of the object, for `If-Match`"))),
        (status = 202, body = Put<DestinationView>, description = "Stored, and not in force yet: `in_force` is false", headers(("ETag" = String, description = "The version of the object, for `If-Match`"))),
        (status = 400, response = Problem),
        (status = 401, response = Problem),
        (status = 409, response = Problem),
        (status = 412, response = Problem),
        (status = 413, response = Problem),
        (status = 422, response = Problem),
        (status = 503, response = Problem),
    )
)]
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
    Ok(answer::put((Kind::Destination, &name), &changed, in_force, warnings, view_of))
}

/// Delete a destination.
#[utoipa::path(
    delete,
    path = paths::DESTINATION,
    operation_id = "delete_destination",
    tag = "destinations",
    params(NamePath, WaitQuery, Preconditions),
    responses(
        (status = 200, body = Removed, description = "Deleted; it is in force"),
        (status = 202, body = Removed, description = "Stored, and not in force yet: `in_force` is false"),
        (status = 401, response = Problem),
        (status = 404, response = Problem),
        (status = 412, response = Problem),
        (status = 503, response = Problem),
    )
)]
async fn delete(
    State(state): State<ApiState>,
    PathName(name): PathName,
    Wait { wait }: Wait,
    Expected(expected): Expected,
) -> Result<Response, ApiError> {
    remove(&state, (Kind::Destination, &name), wait, &expected, Scope::Routing).await
}

fn view_of(configuration: &Configuration, name: &Name) -> Option<DestinationView> {
    configuration.destinations.get(name).map(|destination| view::destination(name, destination))
}
