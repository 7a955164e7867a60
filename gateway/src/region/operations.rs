//! Health and metrics, for balancers and operators.

use std::net::SocketAddr;
use std::sync::Arc;

use floodgate_listen::{Budget, Exhausted, Held, Payload, Reservation, Visit};
use http::{Method, Request, Response, StatusCode};
use tracing::error;

use super::state::State;
use crate::accept::service::Service;
use crate::accept::{Refusal, answer, path};
use crate::metrics::Metrics;

/// What a path takes that can only be read.
const READ: &str = "GET, HEAD, OPTIONS";

/// Answers on the operators' port.
pub(super) struct Operations {
    pub(super) state: Arc<State>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) budget: Budget,
}

impl Service for Operations {
    async fn call(&self, request: Request<Payload>, visit: Visit) -> Response<Held> {
        let (method, path) = (request.method(), path::normal(request.uri().path()));
        let answer = match &*path {
            "/metrics" => read(method).unwrap_or_else(|| self.metrics(visit.memory)),
            "*" if method == Method::OPTIONS => Ok(answer::options(READ)),
            path => health(&self.state, method, path).unwrap_or(Err(Refusal::NotFound)),
        };
        answer.unwrap_or_else(Refusal::into_response)
    }

    fn refused(&self, _: &Refusal, _: SocketAddr) {
        // Only what senders are refused is counted.
    }
}

impl Operations {
    fn metrics(&self, memory: Result<Reservation, Exhausted>) -> Result<Response<Held>, Refusal> {
        let mut memory = memory?;
        self.metrics.queue_bytes.set(i64::try_from(self.budget.used()).unwrap_or(i64::MAX));
        match self.metrics.render() {
            Ok(text) => {
                memory.grow_to(text.len())?;
                Ok(answer::text(StatusCode::OK, text).map(|text| text.in_memory(memory)))
            }
            Err(error) => {
                error!(%error, "cannot render metrics");
                Ok(answer::text(StatusCode::INTERNAL_SERVER_ERROR, ""))
            }
        }
    }
}

/// `/healthz` and `/readyz`; None for other paths.
pub(super) fn health(state: &State, method: &Method, path: &str) -> Option<Result<Response<Held>, Refusal>> {
    let answer = match path {
        "/healthz" => answer::text(StatusCode::OK, "alive\n"),
        "/readyz" => ready(state),
        _ => return None,
    };
    Some(read(method).unwrap_or(Ok(answer)))
}

/// Names the stream that is at fault, also while blocks still get in.
fn ready(state: &State) -> Response<Held> {
    let (status, text) = match state.readiness() {
        Ok(()) => (StatusCode::OK, "ready".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason.to_string()),
    };
    let fault = state.stream_fault().map(|fault| format!("\n{fault}")).unwrap_or_default();
    answer::text(status, format!("{text}{fault}\n"))
}

/// What to answer a method that does not read a path which can only be read.
fn read(method: &Method) -> Option<Result<Response<Held>, Refusal>> {
    match *method {
        Method::GET | Method::HEAD => None,
        Method::OPTIONS => Some(Ok(answer::options(READ))),
        _ => Some(Err(Refusal::MethodNotAllowed { allow: READ })),
    }
}
