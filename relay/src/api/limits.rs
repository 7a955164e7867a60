//! Limits how many requests are under way, and how long each may take.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use floodgate_event::ProblemCode;
use tokio::sync::Semaphore;

use super::{ApiError, ApiState};

/// The most requests under way at once. Together with the largest body, that of a component, this bounds
/// memory.
const MAX_REQUESTS: usize = 32;

/// Counts requests under way.
#[derive(Clone)]
pub(super) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_REQUESTS)))
    }
}

/// Answers 503 while [`MAX_REQUESTS`] are under way.
pub(super) async fn admit(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    match state.gate.0.clone().try_acquire_owned() {
        Ok(_permit) => next.run(request).await,
        Err(_) => {
            ApiError::new(ProblemCode::Unavailable, "too many requests at once: try again").into_response()
        }
    }
}

/// Answers 503 after `timeout`. What the request was doing is cancelled, or completed when the client asks
/// again: every write may be repeated.
pub(super) async fn timed(State(timeout): State<Duration>, request: Request, next: Next) -> Response {
    let detail =
        || format!("no answer within {} s; the change may have been made: try again", timeout.as_secs());
    tokio::time::timeout(timeout, next.run(request))
        .await
        .unwrap_or_else(|_| ApiError::new(ProblemCode::Unavailable, detail()).into_response())
}
