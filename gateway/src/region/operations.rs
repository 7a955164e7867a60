//! Health and metrics, for balancers and operators.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use tracing::error;

use super::state::State;
use crate::accept::listener::Service;
use crate::accept::{Refusal, answer};
use crate::budget::Budget;
use crate::metrics::Metrics;

/// Answers on the operators' port.
pub(super) struct Operations {
    pub(super) state: Arc<State>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) budget: Budget,
}

impl Service for Operations {
    async fn call(&self, request: Request<Incoming>, _: SocketAddr) -> Response<Full<Bytes>> {
        match request.uri().path() {
            "/metrics" if is_read(request.method()) => self.metrics(),
            path => health(&self.state, request.method(), path)
                .unwrap_or_else(|| Refusal::NotFound.into_response()),
        }
    }
}

impl Operations {
    fn metrics(&self) -> Response<Full<Bytes>> {
        self.metrics.queue_bytes.set(i64::try_from(self.budget.used()).unwrap_or(i64::MAX));
        match self.metrics.render() {
            Ok(text) => answer::text(StatusCode::OK, text),
            Err(error) => {
                error!(%error, "cannot render metrics");
                answer::text(StatusCode::INTERNAL_SERVER_ERROR, "")
            }
        }
    }
}

/// `/healthz` and `/readyz`; None for other paths.
pub(super) fn health(state: &State, method: &Method, path: &str) -> Option<Response<Full<Bytes>>> {
    match path {
        "/healthz" | "/readyz" if !is_read(method) => {
            Some(Refusal::MethodNotAllowed { allow: "GET, HEAD" }.into_response())
        }
        "/healthz" => Some(answer::text(StatusCode::OK, "alive\n")),
        "/readyz" => Some(ready(state)),
        _ => None,
    }
}

/// Names the stream that is at fault, also while blocks still get in.
fn ready(state: &State) -> Response<Full<Bytes>> {
    let (status, text) = match state.readiness() {
        Ok(()) => (StatusCode::OK, "ready".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason.to_string()),
    };
    let fault = state.stream_fault().map(|fault| format!("\n{fault}")).unwrap_or_default();
    answer::text(status, format!("{text}{fault}\n"))
}

fn is_read(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}
