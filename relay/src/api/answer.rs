//! The forms of answers that several endpoints share.

use axum::Json;
use axum::response::{IntoResponse, Response};
use floodgate_event::Name;
use serde::Serialize;

use crate::control::{Changed, Configuration, Mode};

/// A whole list; what bounds it are the configuration's own bounds.
#[derive(Serialize)]
pub(super) struct Listed<T> {
    pub(super) revision: u64,
    pub(super) items: Vec<T>,
}

/// What a `PUT` did, or would do.
#[derive(Serialize)]
pub(super) struct Put<'a, T> {
    name: &'a Name,
    /// The revision that holds the document.
    revision: u64,
    changed: bool,
    #[serde(flatten)]
    difference: Option<Difference<T>>,
}

/// The object as it is and as it would be.
#[derive(Serialize)]
struct Difference<T> {
    before: Option<T>,
    after: Option<T>,
}

/// What a `DELETE` did.
#[derive(Serialize)]
pub(super) struct Removed {
    pub(super) name: Name,
    pub(super) revision: u64,
}

impl<'a, T> Put<'a, T> {
    pub(super) fn new(
        name: &'a Name,
        mode: Mode,
        changed: &'a Changed<()>,
        view: impl Fn(&'a Configuration, &'a Name) -> Option<T>,
    ) -> Self {
        let Changed { before, after, .. } = changed;
        let difference = || Difference { before: view(before, name), after: view(after, name) };
        Self {
            name,
            revision: after.revision,
            changed: before.revision != after.revision,
            difference: (mode == Mode::DryRun).then(difference),
        }
    }
}

impl<T: Serialize> IntoResponse for Listed<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

impl<T: Serialize> IntoResponse for Put<'_, T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

impl IntoResponse for Removed {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}
