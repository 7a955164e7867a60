//! `/v1/sources`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use floodgate_api::answer::{Listed, Put, Removed};
use floodgate_api::document::SourceDocument;
use floodgate_api::paths;
use floodgate_api::query::{NamePath, Preconditions, WaitQuery, WriteQuery};
use floodgate_api::view::SourceView;
use floodgate_control::{Configuration, Kind, Refused, Scope, view, warnings};
use floodgate_event::{Name, Problem};
use utoipa_axum::routes;

use super::answer::{self, Tagged};
use super::extract::{Checked, Expected, PathName, Wait, Write};
use super::{ApiError, ApiState, Endpoint, in_force, order, remove};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::quick(routes!(list)),
        Endpoint::asking(routes!(put)),
        Endpoint::quick(routes!(show)),
        Endpoint::quick(routes!(delete)),
    ]
}

/// List sources.
#[utoipa::path(
    get,
    path = paths::SOURCES,
    operation_id = "list_sources",
    tag = "sources",
    responses(
        (status = 200, body = Listed<SourceView>, description = "All sources, by name"),
        (status = 401, response = Problem),
        (status = 503, response = Problem),
    )
)]
async fn list(State(state): State<ApiState>) -> Response {
    let configuration = state.control.configuration();
    let items = configuration.sources.iter().map(|(name, source)| view::source(name, source));
    Json(Listed { revision: configuration.revision, items: items.collect() }).into_response()
}

/// Show a source.
#[utoipa::path(
    get,
    path = paths::SOURCE,
    operation_id = "show_source",
    tag = "sources",
    params(NamePath),
    responses(
        (status = 200, body = SourceView, description = "The source; of secrets only the ids", headers(("ETag" = String, description = "The version of the object, for `If-Match`"))),
        (status = 401, response = Problem),
        (status = 404, response = Problem),
    )
)]
async fn show(State(state): State<ApiState>, PathName(name): PathName) -> Result<Response, ApiError> {
    let configuration = state.control.configuration();
    match view_of(&configuration, &name) {
        Some(view) => Ok(Tagged(configuration.tag(Kind::Source, &name), Json(view)).into_response()),
        None => Err(Refused::NotFound { kind: Kind::Source, name }.into()),
    }
}

/// Create or replace a source.
#[utoipa::path(
    put,
    path = paths::SOURCE,
    operation_id = "put_source",
    tag = "sources",
    params(NamePath, WriteQuery, Preconditions),
    request_body(content = SourceDocument, description = "The source"),
    responses(
        (status = 200, body = Put<SourceView>, description = "Made, or the same already; with dry_run, what would be made; it is in force", headers(("ETag" = String, description = "The version of the object, for `If-Match`"))),
        (status = 202, body = Put<SourceView>, description = "Stored, and not in force yet: `in_force` is false", headers(("ETag" = String, description = "The version of the object, for `If-Match`"))),
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
    Checked(document): Checked<SourceDocument>,
) -> Result<Response, ApiError> {
    order::check(&state, &name, &document).await?;
    let changed = state.control.put_source(&name, &document, write.mode, &expected).await?;
    let in_force = in_force(&state, &changed, write, Scope::Everywhere(&name)).await;
    let warnings = warnings::of_source(&changed.after, &name);
    Ok(answer::put((Kind::Source, &name), &changed, in_force, warnings, view_of))
}

/// Delete a source.
#[utoipa::path(
    delete,
    path = paths::SOURCE,
    operation_id = "delete_source",
    tag = "sources",
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
    remove(&state, (Kind::Source, &name), wait, &expected, Scope::Everywhere(&name)).await
}

fn view_of(configuration: &Configuration, name: &Name) -> Option<SourceView> {
    configuration.sources.get(name).map(|source| view::source(name, source))
}
