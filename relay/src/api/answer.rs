//! The forms of answers that several endpoints share.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{ETAG, HeaderValue};
use axum::response::{IntoResponse, Response};
use floodgate_api::answer::{Put, Removed, Warning};
use floodgate_control::{Changed, Configuration, Kind};
use floodgate_event::Name;
use serde::Serialize;

/// Answers with an object and its entity tag.
pub(super) struct Tagged<T>(pub(super) Option<String>, pub(super) T);

/// Answers a `PUT`. `in_force` is none for a dry run, which shows the object before and after.
pub(super) fn put<T: Serialize>(
    (kind, name): (Kind, &Name),
    changed: &Changed<()>,
    in_force: Option<bool>,
    warnings: Vec<Warning>,
    view: impl Fn(&Configuration, &Name) -> Option<T>,
) -> Response {
    let Changed { before, after, .. } = changed;
    let is_dry_run = in_force.is_none();
    let put = Put {
        name: name.clone(),
        revision: after.revision,
        changed: before.revision != after.revision,
        in_force,
        warnings,
        before: is_dry_run.then(|| view(before, name)),
        after: is_dry_run.then(|| view(after, name)),
    };
    (status(in_force), Tagged(after.tag(kind, name), Json(put))).into_response()
}

/// Answers a `DELETE` with the first revision without the object.
pub(super) fn removed(removed: Removed) -> Response {
    (status(removed.in_force), Json(removed)).into_response()
}

/// The status: 202 if the change is stored and not in force yet.
pub(super) fn status(in_force: Option<bool>) -> StatusCode {
    if in_force == Some(false) { StatusCode::ACCEPTED } else { StatusCode::OK }
}

impl<T: IntoResponse> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let Self(tag, answer) = self;
        let mut response = answer.into_response();
        // A tag is hex in quotes, and so a valid header.
        if let Some(tag) = tag.and_then(|tag| HeaderValue::try_from(tag).ok()) {
            response.headers_mut().insert(ETAG, tag);
        }
        response
    }
}
