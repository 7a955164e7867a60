//! Which version of a handler runs.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use floodgate_event::Name;
use serde::{Deserialize, Serialize};

use super::Promoted;
use crate::api::answer::status;
use crate::api::extract::{Checked, PathName, Wait};
use crate::api::{ApiError, ApiState};
use crate::control::document::{CanaryDocument, Document, Invalid, ShadowDocument};
use crate::control::{Changed, Precondition, Scope};

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
        let in_force = runs(state, revision, &name, wait).await;
        Self { name, revision, in_force }
    }
}

/// Waits until every region runs what a revision says of a handler, unless the caller does not.
pub(super) async fn runs(state: &ApiState, revision: u64, handler: &Name, Wait { wait }: Wait) -> bool {
    let scope = Scope::Handler(handler);
    match wait {
        true => state.control.in_force(revision, scope).await,
        false => state.control.is_known_in_force(revision, scope),
    }
}

pub(super) async fn roll_back(
    State(state): State<ApiState>,
    PathName(name): PathName,
    wait: Wait,
    expected: Precondition,
    Checked(Nothing {}): Checked<Nothing>,
) -> Result<Promoted, ApiError> {
    let changed = state.control.roll_back(&name, &expected).await?;
    let revision = changed.after.revision;
    let in_force = runs(&state, revision, &name, wait).await;
    Ok(Promoted { name, promoted: changed.value, revision, in_force })
}

pub(super) async fn shadow(
    State(state): State<ApiState>,
    PathName(name): PathName,
    wait: Wait,
    expected: Precondition,
    Checked(document): Checked<ShadowDocument>,
) -> Result<Made, ApiError> {
    let changed = state.control.shadow(&name, &document, &expected).await?;
    Ok(Made::of(&state, name, wait, &changed).await)
}

pub(super) async fn canary(
    State(state): State<ApiState>,
    PathName(name): PathName,
    wait: Wait,
    expected: Precondition,
    Checked(document): Checked<CanaryDocument>,
) -> Result<Made, ApiError> {
    let changed = state.control.canary(&name, &document, &expected).await?;
    Ok(Made::of(&state, name, wait, &changed).await)
}

pub(super) async fn stop(
    State(state): State<ApiState>,
    PathName(name): PathName,
    wait: Wait,
    expected: Precondition,
) -> Result<Made, ApiError> {
    let changed = state.control.stop_rollout(&name, &expected).await?;
    Ok(Made::of(&state, name, wait, &changed).await)
}
