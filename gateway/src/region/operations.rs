//! Health and metrics, for balancers and operators.

use std::net::SocketAddr;
use std::sync::Arc;

use floodgate_ingress::AddressRate;
use floodgate_listen::{AnswerBody, Budget, Exhausted, Payload, RequestContext, Reservation};
use http::{Method, Request, Response, StatusCode};
use tracing::error;

use super::state::State;
use crate::accept::service::Service;
use crate::accept::{Refusal, answer, path};
use crate::metrics::Metrics;

/// The methods of a path that can only be read.
const READ: &str = "GET, HEAD, OPTIONS";

/// Answers on the operators' port.
pub(super) struct Operations {
    pub(super) state: Arc<State>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) budget: Budget,
    pub(super) address_rate: Option<Arc<AddressRate>>,
}

impl Service for Operations {
    async fn call(&self, request: Request<Payload>, context: RequestContext) -> Response<AnswerBody> {
        let (method, path) = (request.method(), path::normal(request.uri().path()));
        let answer = match &*path {
            "/metrics" => read(method).unwrap_or_else(|| self.metrics(context.memory)),
            "*" if method == Method::OPTIONS => Ok(answer::options(READ)),
            path => health(&self.state, method, path).unwrap_or(Err(Refusal::NotFound)),
        };
        answer.unwrap_or_else(Refusal::into_response)
    }

    fn refused(&self, _: &Refusal, _: SocketAddr) {
        // Only refusals to senders are counted.
    }
}

impl Operations {
    /// Sets the gauges of the secrets in the present configuration. A secret that was removed loses its
    /// series.
    fn count_secrets(&self) {
        let (served, gauges) = (self.state.served(), &self.metrics.secrets_used);
        gauges.reset();
        for source in served.iter().flat_map(|served| served.sources.values()) {
            for secret in &source.secrets {
                let seconds = secret.last_us().unwrap_or_default() / 1_000_000;
                let gauge = gauges.with_label_values(&[source.name.as_str(), &secret.id]);
                gauge.set(i64::try_from(seconds).unwrap_or(i64::MAX));
            }
        }
    }

    fn metrics(&self, memory: Result<Reservation, Exhausted>) -> Result<Response<AnswerBody>, Refusal> {
        let mut memory = memory?;
        self.metrics.queue_bytes.set(i64::try_from(self.budget.used()).unwrap_or(i64::MAX));
        self.metrics.lanes_shed(|lane| self.state.shedder().check(lane).is_err());
        if let Some(rate) = &self.address_rate {
            self.metrics.rated_addresses.set(i64::try_from(rate.addresses()).unwrap_or(i64::MAX));
        }
        self.count_secrets();
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

/// Answers `/healthz` and `/readyz`. Returns `None` for other paths.
pub(super) fn health(
    state: &State,
    method: &Method,
    path: &str,
) -> Option<Result<Response<AnswerBody>, Refusal>> {
    let answer = match path {
        "/healthz" => answer::text(StatusCode::OK, "alive\n"),
        "/readyz" => ready(state),
        _ => return None,
    };
    Some(read(method).unwrap_or(Ok(answer)))
}

/// Names the stream that has a fault, also while it still takes blocks, and the lanes that are shed.
fn ready(state: &State) -> Response<AnswerBody> {
    let (status, text) = match state.readiness() {
        Ok(()) => (StatusCode::OK, "ready".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason.to_string()),
    };
    let fault = state.stream_fault().map(|fault| format!("\n{fault}")).unwrap_or_default();
    let shed: String = state.shedder().shed().map(|shed| format!("\n{shed}")).collect();
    answer::text(status, format!("{text}{fault}{shed}\n"))
}

/// Returns the answer to OPTIONS, or the refusal of a method that is not allowed. None for GET and HEAD.
fn read(method: &Method) -> Option<Result<Response<AnswerBody>, Refusal>> {
    match *method {
        Method::GET | Method::HEAD => None,
        Method::OPTIONS => Some(Ok(answer::options(READ))),
        _ => Some(Err(Refusal::MethodNotAllowed { allow: READ })),
    }
}
