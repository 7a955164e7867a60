//! The answer to a batch of events, with an answer for each of them.

use floodgate_event::source::AcceptedStatus;
use floodgate_event::{EventId, Problem};
use floodgate_listen::{AnswerBody, Reservation};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use serde::Serialize;

use super::accepted;
use crate::accept::Refusal;
use crate::accept::refusal::Unavailable;
use floodgate_enqueue::Enqueued;

/// An event of a batch that is not durable.
#[derive(Debug)]
pub(crate) struct Missed {
    pub(crate) id: EventId,
    pub(crate) refusal: Refusal,
}

/// The answers to all events, in their order.
#[derive(Serialize)]
struct Events {
    events: Vec<EventAnswer>,
}

#[derive(Serialize)]
struct NotAll {
    #[serde(flatten)]
    problem: Problem,
    events: Vec<EventAnswer>,
}

#[derive(Serialize)]
struct EventAnswer {
    id: String,
    /// `accepted`, `answered` by a handler, or the code of a problem.
    status: &'static str,
    /// The status that the handler answered with.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// The source's 2xx if all events are durable, and otherwise 503: the sender should send the batch again, and
/// the events that are durable will be duplicates. `memory` is what the request was counted in.
pub(crate) fn of(
    taken: Vec<Result<Enqueued, Missed>>,
    status: AcceptedStatus,
    memory: Reservation,
) -> Response<AnswerBody> {
    let answers = taken.iter().map(EventAnswer::of).collect();
    let (of, missed) = (taken.len(), taken.iter().filter(|taken| taken.is_err()).count());
    match taken.into_iter().collect::<Result<Vec<Enqueued>, Missed>>() {
        Ok(durable) => all_durable(&durable, status, memory),
        Err(_) => {
            let refusal = Refusal::Unavailable(Unavailable::Events { missed, of });
            let body = to_body(&NotAll { problem: refusal.problem(), events: answers }, memory);
            refusal.into_response().map(|_| body)
        }
    }
}

/// The 2xx for a batch. As for one event, there is no other way to it than [`Enqueued`].
fn all_durable(durable: &[Enqueued], status: AcceptedStatus, memory: Reservation) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::default());
    *response.status_mut() = accepted(status);
    if response.status() != StatusCode::NO_CONTENT {
        let events = Events { events: durable.iter().map(EventAnswer::of_durable).collect() };
        *response.body_mut() = to_body(&events, memory);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}

/// The request has counted more for each of its events than the answer has bytes.
fn to_body(answer: &impl Serialize, mut memory: Reservation) -> AnswerBody {
    // Texts and numbers always serialize; an empty body would still carry the status.
    let bytes = serde_json::to_vec(answer).unwrap_or_default();
    memory.shrink_to(bytes.len());
    AnswerBody::new(bytes, memory)
}

impl EventAnswer {
    fn of(taken: &Result<Enqueued, Missed>) -> Self {
        match taken {
            Ok(enqueued) => Self::of_durable(enqueued),
            Err(Missed { id, refusal }) => {
                Self { id: id.to_string(), status: refusal.outcome(), code: None, detail: refusal.detail() }
            }
        }
    }

    fn of_durable(enqueued: &Enqueued) -> Self {
        let code = enqueued.answered();
        let status = if code.is_some() { "answered" } else { "accepted" };
        Self { id: enqueued.id().to_string(), status, code, detail: None }
    }
}
