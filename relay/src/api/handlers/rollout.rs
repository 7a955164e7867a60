//! Which version of a handler runs.

use axum::Json;
use axum::extract::State;
use floodgate_event::Name;
use serde::{Deserialize, Serialize};

use super::Promoted;
use crate::api::extract::{Checked, PathName};
use crate::api::{ApiError, ApiState};
use crate::control::document::{CanaryDocument, Document, Invalid, ShadowDocument};

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
}

pub(super) async fn roll_back(
    State(state): State<ApiState>,
    PathName(name): PathName,
    Checked(Nothing {}): Checked<Nothing>,
) -> Result<Json<Promoted>, ApiError> {
    let changed = state.control.roll_back(&name).await?;
    Ok(Json(Promoted { name, promoted: changed.value, revision: changed.after.revision }))
}

pub(super) async fn shadow(
    State(state): State<ApiState>,
    PathName(name): PathName,
    Checked(document): Checked<ShadowDocument>,
) -> Result<Json<Made>, ApiError> {
    let changed = state.control.shadow(&name, &document).await?;
    Ok(Json(Made { name, revision: changed.after.revision }))
}

pub(super) async fn canary(
    State(state): State<ApiState>,
    PathName(name): PathName,
    Checked(document): Checked<CanaryDocument>,
) -> Result<Json<Made>, ApiError> {
    let changed = state.control.canary(&name, &document).await?;
    Ok(Json(Made { name, revision: changed.after.revision }))
}

pub(super) async fn stop(
    State(state): State<ApiState>,
    PathName(name): PathName,
) -> Result<Json<Made>, ApiError> {
    let changed = state.control.stop_rollout(&name).await?;
    Ok(Json(Made { name, revision: changed.after.revision }))
}
