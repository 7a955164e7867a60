//! `/v1/handlers`.

mod live;
mod logs;
mod rollout;

use std::num::NonZeroU32;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use floodgate_api::document::{Document, Invalid};
use floodgate_control::view::HandlerView;
use floodgate_control::{Kind, MAX_COMPONENT_BYTES, Refused, Scope};
use floodgate_event::Name;
use floodgate_event::snapshot::Digest256;
use serde::{Deserialize, Serialize};

use self::live::Live;
use super::answer::{Listed, Removed, Tagged, status};
use super::extract::{Body, Checked, Expected, PathName, Wait};
use super::{ApiError, ApiState, Endpoint, awaited};

/// Waiting for a turn, a check of at most a minute, and writing the component.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(180);

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/v1/handlers", list),
        Endpoint::upload("/v1/handlers/{name}", upload, MAX_COMPONENT_BYTES, UPLOAD_TIMEOUT),
        Endpoint::get("/v1/handlers/{name}", show),
        Endpoint::delete("/v1/handlers/{name}", delete),
        Endpoint::asking_post("/v1/handlers/{name}/promote", promote),
        Endpoint::post("/v1/handlers/{name}/rollback", rollout::roll_back),
        Endpoint::asking_post("/v1/handlers/{name}/shadow", rollout::shadow),
        Endpoint::asking_post("/v1/handlers/{name}/canary", rollout::canary),
        Endpoint::delete("/v1/handlers/{name}/rollout", rollout::stop),
        Endpoint::get("/v1/handlers/{name}/logs", logs::follow),
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
    /// Whether every region runs it.
    in_force: bool,
}

impl Promoted {
    async fn of(state: &ApiState, name: Name, promoted: u32, wait: Wait, revision: u64) -> Self {
        let in_force = awaited(state, revision, wait.wait, Scope::Handler(&name)).await;
        Self { name, promoted, revision, in_force }
    }
}

impl IntoResponse for Promoted {
    fn into_response(self) -> Response {
        (status(Some(self.in_force)), Json(self)).into_response()
    }
}

async fn list(State(state): State<ApiState>) -> Response {
    let configuration = state.control.configuration();
    let view = |(name, handler)| HandlerView::new(&configuration, name, handler);
    let items = configuration.handlers.iter().map(view).collect();
    Listed { revision: configuration.revision, items }.into_response()
}

/// A handler, and how it does in the regions.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    handler: HandlerView<'a>,
    #[serde(flatten)]
    live: Live,
}

async fn show(State(state): State<ApiState>, PathName(name): PathName) -> Result<Response, ApiError> {
    let configuration = state.control.configuration();
    let Some(handler) = configuration.handlers.get(&name) else {
        return Err(Refused::NotFound { kind: Kind::Handler, name }.into());
    };
    let reports = state.control.reports().await;
    let live = Live::new(&name, handler.trial_id(), &reports);
    let tag = configuration.tag(Kind::Handler, &name);
    let shown = Shown { handler: HandlerView::new(&configuration, &name, handler), live };
    Ok(Tagged(tag, Json(shown)).into_response())
}

async fn upload(
    State(state): State<ApiState>,
    PathName(name): PathName,
    Expected(expected): Expected,
    Body(component): Body,
) -> Result<Response, ApiError> {
    let uploaded = state.control.upload(&name, component, &expected).await?;
    let (version, digest, revision) = (uploaded.version, uploaded.digest, uploaded.revision);
    Ok(Json(Taken { name, version, digest, revision }).into_response())
}

async fn promote(
    State(state): State<ApiState>,
    PathName(name): PathName,
    wait: Wait,
    Expected(expected): Expected,
    Checked(promotion): Checked<Promotion>,
) -> Result<Promoted, ApiError> {
    let promoted = promotion.version.get();
    let revision = state.control.promote(&name, promoted, &expected).await?.after.revision;
    Ok(Promoted::of(&state, name, promoted, wait, revision).await)
}

async fn delete(
    State(state): State<ApiState>,
    PathName(name): PathName,
    Expected(expected): Expected,
) -> Result<Removed, ApiError> {
    let changed = state.control.delete(Kind::Handler, &name, &expected).await?;
    Ok(Removed { name, revision: changed.after.revision, in_force: None })
}
