//! `/v1/sources`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use floodgate_event::Name;

use super::answer::{Listed, Put, Removed};
use super::extract::{Checked, PathName};
use super::{ApiError, ApiState, Endpoint, order};
use crate::control::document::SourceDocument;
use crate::control::view::SourceView;
use crate::control::{Configuration, Kind, Mode, Refused};

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
        Some(view) => Ok(Json(view).into_response()),
        None => Err(Refused::NotFound { kind: Kind::Source, name }.into()),
    }
}

async fn put(
    State(state): State<ApiState>,
    PathName(name): PathName,
    mode: Mode,
    Checked(document): Checked<SourceDocument>,
) -> Result<Response, ApiError> {
    order::check(&state, &name, &document).await?;
    let changed = state.control.put_source(&name, &document, mode).await?;
    Ok(Put::new(&name, mode, &changed, view).into_response())
}

async fn delete(State(state): State<ApiState>, PathName(name): PathName) -> Result<Removed, ApiError> {
    let changed = state.control.delete(Kind::Source, &name).await?;
    Ok(Removed { name, revision: changed.after.revision })
}

fn view<'a>(configuration: &'a Configuration, name: &'a Name) -> Option<SourceView<'a>> {
    configuration.sources.get(name).map(|source| SourceView::new(name, source))
}
