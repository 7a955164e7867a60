//! What goes back to a sender.

use bytes::Bytes;
use floodgate_event::source::AcceptedStatus;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;

use crate::enqueue::Enqueued;

/// Answers for an event that is durable. Only `enqueue` can make the [`Enqueued`] that it takes: there is no other
/// way to a 2xx for an event.
pub(crate) fn durable(enqueued: Enqueued, status: AcceptedStatus) -> Response<Full<Bytes>> {
    let (id, answer) = enqueued.into_parts();
    if let Some(answer) = answer {
        let mut response = Response::new(Full::from(answer.body));
        // The handler room only lets valid statuses through.
        *response.status_mut() =
            StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().extend(answer.headers);
        return response;
    }
    let body = match status {
        AcceptedStatus::Ok | AcceptedStatus::Accepted => {
            Full::from(format!("{{\"id\":\"{id}\",\"status\":\"accepted\"}}"))
        }
        AcceptedStatus::NoContent => Full::default(),
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

/// Plain text, for health and metrics.
pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
