//! Which version of a handler runs.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use floodgate_api::document::{CanaryDocument, Document, Invalid, ShadowDocument};
use floodgate_control::{Changed, Scope};
use floodgate_event::Name;
use serde::{Deserialize, Serialize};

use super::Promoted;
use crate::api::answer::status;
use crate::api::extract::{Checked, Expected, PathName, Wait};
use crate::api::{ApiError, ApiState, awaited};

/// `POST /v1/handlers/{name}/rollback`: an empty object.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

impl Document for Nothing {
    fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

/// What a change of a rollout made.
#[derive(Serialize)]
pub(super) struct Made {
    name: Name,
    revision: u64,
    /// Whether every region runs what this revision says.
    in_force: bool,
}

impl IntoResponse for Made {
    fn into_response(self) -> Response {
        (status(Some(self.in_force)), Json(self)).into_response()
    }
}

impl Made {
    async fn of(state: &ApiState, name: Name, wait: Wait, changed: &Changed<()>) -> Self {
        let revision = changed.after.revision;
        let in_force = awaited(state, revision, wait.wait, Scope::Handler(&name)).await;
        Self { name, revision, in_force }
    }
}

pub(super) async fn roll_back(
    State(state): State<ApiState>,
    PathName(name): PathName,
    wait: Wait,
    Expected(expected): Expected,
    Checked(Nothing {}): Checked<Nothing>,
) -> Result<Promoted, ApiError> {
    let changed = state.control.roll_back(&name, &expected).await?;
    Ok(Promoted::of(&state, name, changed.value, wait, changed.after.revision).await)
}

pub(super) async fn shadow(
    State(state): State<ApiState>,
    PathName(name): PathName,
    wait: Wait,
    Expected(expected): Expected,
    Checked(document): Checked<ShadowDocument>,
) -> Result<Made, ApiError> {
    let changed = state.control.shadow(&name, &document, &expected).await?;
    Ok(Made::of(&state, name, wait, &changed).await)
}

pub(super) async fn canary(
    State(state): State<ApiState>,
    PathName(name): PathName,
    wait: Wait,
    Expected(expected): Expected,
    Checked(document): Checked<CanaryDocument>,
) -> Result<Made, ApiError> {
    let changed = state.control.canary(&name, &document, &expected).await?;
    Ok(Made::of(&state, name, wait, &changed).await)
}

pub(super) async fn stop(
    State(state): State<ApiState>,
    PathName(name): PathName,
    wait: Wait,
    Expected(expected): Expected,
) -> Result<Made, ApiError> {
    let changed = state.control.stop_rollout(&name, &expected).await?;
    Ok(Made::of(&state, name, wait, &changed).await)
}
