//! `/v1/sources`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use floodgate_api::document::SourceDocument;
use floodgate_control::view::SourceView;
use floodgate_control::{Configuration, Kind, Refused, Scope, warnings};
use floodgate_event::Name;

use super::answer::{Listed, Put, Removed, Tagged};
use super::extract::{Checked, Expected, PathName, Wait, Write};
use super::{ApiError, ApiState, Endpoint, in_force, order, remove};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/v1/sources", list),
        Endpoint::asking_put("/v1/sources/{name}", put),
        Endpoint::get("/v1/sources/{name}", show),
        Endpoint::delete("/v1/sources/{name}", delete),
    ]
}

async fn list(State(state): State<ApiState>) -> Response {
    let configuration = state.control.configuration();
    let items = configuration.sources.iter().map(|(name, source)| SourceView::new(name, source));
    Listed { revision: configuration.revision, items: items.collect() }.into_response()
}

async fn show(State(state): State<ApiState>, PathName(name): PathName) -> Result<Response, ApiError> {
    let configuration = state.control.configuration();
    match view(&configuration, &name) {
        Some(view) => Ok(Tagged(configuration.tag(Kind::Source, &name), Json(view)).into_response()),
        None => Err(Refused::NotFound { kind: Kind::Source, name }.into()),
    }
}

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
    Ok(Put::new((Kind::Source, &name), &changed, in_force, warnings, view).into_response())
}

async fn delete(
    State(state): State<ApiState>,
    PathName(name): PathName,
    Wait { wait }: Wait,
    Expected(expected): Expected,
) -> Result<Removed, ApiError> {
    remove(&state, (Kind::Source, &name), wait, &expected, Scope::Everywhere(&name)).await
}

fn view<'a>(configuration: &'a Configuration, name: &'a Name) -> Option<SourceView<'a>> {
    configuration.sources.get(name).map(|source| SourceView::new(name, source))
}
