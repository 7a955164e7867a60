//! The answers to senders.

pub(crate) mod batch;

use bytes::Bytes;
use floodgate_event::source::AcceptedStatus;
use floodgate_listen::{AnswerBody, Reservation};
use floodgate_schemes::Answer;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Method, Response, StatusCode};
use http_body::Body as _;

use floodgate_enqueue::Enqueued;

/// The 2xx for an event that is durable, with the body that the provider wants or else with the event's id.
/// Only `enqueue` can build an [`Enqueued`], so there is no other way to a 2xx for an event.
pub(crate) fn durable(
    enqueued: Enqueued,
    status: AcceptedStatus,
    provider_body: Option<&'static str>,
) -> Response<AnswerBody> {
    let (id, answer) = enqueued.into_parts();
    if let Some((answer, memory)) = answer {
        let mut response = Response::new(AnswerBody::new(answer.body, memory));
        // `floodgate_sandbox` only lets valid statuses through.
        *response.status_mut() =
            StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().extend(answer.headers);
        return response;
    }
    let (content_type, body) = match (status, provider_body) {
        (AcceptedStatus::NoContent, _) | (_, Some("")) => ("", AnswerBody::default()),
        (_, Some(text)) => ("text/plain", AnswerBody::from(text.to_owned())),
        (_, None) => {
            let text = format!("{{\"id\":\"{id}\",\"status\":\"accepted\"}}");
            ("application/json", AnswerBody::from(text))
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = accepted(status);
    if !content_type.is_empty() {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    response
}

fn accepted(status: AcceptedStatus) -> StatusCode {
    match status {
        AcceptedStatus::Ok => StatusCode::OK,
        AcceptedStatus::Accepted => StatusCode::ACCEPTED,
        AcceptedStatus::NoContent => StatusCode::NO_CONTENT,
    }
}

/// The answer that a provider asked for, with the memory that its body is counted in. No event comes of it.
pub(crate) fn handshake(answer: Answer, memory: Reservation) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::new(answer.body, memory));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for (name, value) in answer.headers {
        // Texts of the request were read from headers or are sent in the body; others are ours.
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The same answer without its body.
pub(crate) fn without_body(mut response: Response<AnswerBody>) -> Response<AnswerBody> {
    *response.body_mut() = AnswerBody::default();
    response.headers_mut().remove(CONTENT_TYPE);
    response
}

/// The answer to `OPTIONS`: the methods that a path allows.
pub(crate) fn options(allow: &'static str) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}

/// Removes content that the answer must not have
/// ([RFC 9110 §6.4.1](https://www.rfc-editor.org/rfc/rfc9110#section-6.4.1)):
/// hyper removes it only in HTTP/1, and not for 205.
pub(crate) fn without_forbidden_content(
    method: &Method,
    mut response: Response<AnswerBody>,
) -> Response<AnswerBody> {
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

/// Returns true if an answer of this status never has content.
pub(crate) fn has_no_content(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}

/// An answer of plain text, for health and metrics.
pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
