//! `/v1/handlers`.

use std::num::NonZeroU32;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use floodgate_event::Name;
use floodgate_event::snapshot::Digest256;
use serde::{Deserialize, Serialize};

use super::answer::{Listed, Removed};
use super::extract::{Body, Checked, PathName};
use super::{ApiError, ApiState, Endpoint};
use crate::control::document::{Document, Invalid};
use crate::control::view::HandlerView;
use crate::control::{Kind, MAX_COMPONENT_BYTES, Refused};

/// Waiting for a turn, a check of at most a minute, and writing the component.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(180);

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/v1/handlers", list),
        Endpoint::upload("/v1/handlers/{name}", upload, MAX_COMPONENT_BYTES, UPLOAD_TIMEOUT),
        Endpoint::get("/v1/handlers/{name}", show),
        Endpoint::delete("/v1/handlers/{name}", delete),
        Endpoint::post("/v1/handlers/{name}/promote", promote),
    ]
}

/// `POST /v1/handlers/{name}/promote`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Promotion {
    version: NonZeroU32,
}

impl Document for Promotion {
    fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

#[derive(Serialize)]
struct Taken {
    name: Name,
    version: u32,
    digest: Digest256,
    revision: u64,
}

#[derive(Serialize)]
struct Promoted {
    name: Name,
    promoted: u32,
    revision: u64,
}

async fn list(State(state): State<ApiState>) -> Response {
    let configuration = state.control.configuration();
    let view = |(name, handler)| HandlerView::new(&configuration, name, handler);
    let items = configuration.handlers.iter().map(view).collect();
    Listed { revision: configuration.revision, items }.into_response()
}

async fn show(State(state): State<ApiState>, PathName(name): PathName) -> Result<Response, ApiError> {
    let configuration = state.control.configuration();
    match configuration.handlers.get(&name) {
        Some(handler) => Ok(Json(HandlerView::new(&configuration, &name, handler)).into_response()),
        None => Err(Refused::NotFound { kind: Kind::Handler, name }.into()),
    }
}

async fn upload(
    State(state): State<ApiState>,
    PathName(name): PathName,
    Body(component): Body,
) -> Result<Response, ApiError> {
    let uploaded = state.control.upload(&name, component).await?;
    let (version, digest, revision) = (uploaded.version, uploaded.digest, uploaded.revision);
    Ok(Json(Taken { name, version, digest, revision }).into_response())
}

async fn promote(
    State(state): State<ApiState>,
    PathName(name): PathName,
    Checked(promotion): Checked<Promotion>,
) -> Result<Response, ApiError> {
    let promoted = promotion.version.get();
    let changed = state.control.promote(&name, promoted).await?;
    Ok(Json(Promoted { name, promoted, revision: changed.after.revision }).into_response())
}

async fn delete(State(state): State<ApiState>, PathName(name): PathName) -> Result<Removed, ApiError> {
    let changed = state.control.delete(Kind::Handler, &name).await?;
    Ok(Removed { name, revision: changed.after.revision })
}
