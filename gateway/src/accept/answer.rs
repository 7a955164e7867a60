//! What goes back to a sender.

use bytes::Bytes;
use floodgate_event::source::AcceptedStatus;
use floodgate_listen::Held;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Method, Response, StatusCode};
use http_body::Body as _;

use crate::enqueue::Enqueued;

/// Answers for an event that is durable. Only `enqueue` can make the [`Enqueued`] that it takes:
/// there is no other way to a 2xx for an event.
pub(crate) fn durable(enqueued: Enqueued, status: AcceptedStatus) -> Response<Held> {
    let (id, answer) = enqueued.into_parts();
    if let Some((answer, memory)) = answer {
        let mut response = Response::new(Held::new(answer.body, memory));
        // The handler room only lets valid statuses through.
        *response.status_mut() =
            StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().extend(answer.headers);
        return response;
    }
    let body = match status {
        AcceptedStatus::Ok | AcceptedStatus::Accepted => {
            Held::from(format!("{{\"id\":\"{id}\",\"status\":\"accepted\"}}"))
        }
        AcceptedStatus::NoContent => Held::default(),
    };
    let mut response = Response::new(body);
    *response.status_mut() = match status {
        AcceptedStatus::Ok => StatusCode::OK,
        AcceptedStatus::Accepted => StatusCode::ACCEPTED,
        AcceptedStatus::NoContent => StatusCode::NO_CONTENT,
    };
    if status != AcceptedStatus::NoContent {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}

/// What a path takes, for whoever asks by `OPTIONS`.
pub(crate) fn options(allow: &'static str) -> Response<Held> {
    let mut response = Response::new(Held::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}

/// Takes out content that must not follow
/// ([RFC 9110 §6.4.1](https://www.rfc-editor.org/rfc/rfc9110#section-6.4.1)):
/// hyper does it in HTTP/1 only, and not for 205.
pub(crate) fn without_forbidden_content(method: &Method, mut response: Response<Held>) -> Response<Held> {
    let has_none = has_no_content(response.status());
    if !has_none && method != Method::HEAD {
        return response;
    }
    let body = std::mem::take(response.body_mut());
    match body.size_hint().exact() {
        // As long as the same answer to a GET.
        Some(bytes) if !has_none => {
            drop(response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(bytes)))
        }
        _ => {}
    }
    response
}

/// Whether an answer of this status never has content.
pub(crate) fn has_no_content(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Plain text, for health and metrics.
pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Held> {
    let mut response = Response::new(Held::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
