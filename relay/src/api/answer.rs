//! The forms of answers that several endpoints share.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{ETAG, HeaderValue};
use axum::response::{IntoResponse, Response};
use floodgate_control::warnings::Warning;
use floodgate_control::{Changed, Configuration, Kind};
use floodgate_event::Name;
use serde::Serialize;

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
    /// Whether events that are accepted from now on are handled by this revision; none for a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_force: Option<bool>,
    warnings: Vec<Warning>,
    #[serde(flatten)]
    difference: Option<Difference<T>>,
    #[serde(skip)]
    tag: Option<String>,
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
    /// As in [`Put`]; none of a handler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) in_force: Option<bool>,
}

/// An object with its entity tag.
pub(super) struct Tagged<T>(pub(super) Option<String>, pub(super) T);

impl<'a, T> Put<'a, T> {
    pub(super) fn new(
        (kind, name): (Kind, &'a Name),
        changed: &'a Changed<()>,
        in_force: Option<bool>,
        warnings: Vec<Warning>,
        view: impl Fn(&'a Configuration, &'a Name) -> Option<T>,
    ) -> Self {
        let Changed { before, after, .. } = changed;
        let difference = || Difference { before: view(before, name), after: view(after, name) };
        Self {
            name,
            revision: after.revision,
            changed: before.revision != after.revision,
            in_force,
            warnings,
            difference: in_force.is_none().then(difference),
            tag: after.tag(kind, name),
        }
    }
}

/// 202 for what is stored and not in force yet.
pub(super) fn status(in_force: Option<bool>) -> StatusCode {
    if in_force == Some(false) { StatusCode::ACCEPTED } else { StatusCode::OK }
}

impl<T: Serialize> IntoResponse for Listed<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

impl<T: Serialize> IntoResponse for Put<'_, T> {
    fn into_response(mut self) -> Response {
        let (status, tag) = (status(self.in_force), self.tag.take());
        (status, Tagged(tag, Json(self))).into_response()
    }
}

impl IntoResponse for Removed {
    fn into_response(self) -> Response {
        (status(self.in_force), Json(self)).into_response()
    }
}

impl<T: IntoResponse> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let Self(tag, answer) = self;
        let mut response = answer.into_response();
        // A tag is hex in quotes.
        if let Some(tag) = tag.and_then(|tag| HeaderValue::try_from(tag).ok()) {
            response.headers_mut().insert(ETAG, tag);
        }
        response
    }
}
