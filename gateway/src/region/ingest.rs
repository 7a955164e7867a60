//! The way of one request: accept, verify, handle, enqueue, answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::CONNECTION;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use tracing::{debug, warn};

use super::operations::health;
use super::served::{Served, Source};
use super::state::{State, Streams};
use crate::accept::body::{self, Bounds};
use crate::accept::listener::Service;
use crate::accept::refusal::Unavailable;
use crate::accept::{Refusal, answer};
use crate::budget::Budget;
use crate::enqueue::NotEnqueued;
use crate::handle::Rejected;
use crate::metrics::Metrics;

const PREFIX: &str = "/in/";

/// Answers on the senders' port.
pub(super) struct Ingest {
    pub(super) state: Arc<State>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) budget: Budget,
    pub(super) body_timeout: Duration,
}

impl Service for Ingest {
    async fn call(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Full<Bytes>> {
        let version = request.version();
        let mut response = match request.uri().path().strip_prefix(PREFIX) {
            Some(_) => self.webhook(request, peer).await,
            None => health(&self.state, request.method(), request.uri().path())
                .unwrap_or_else(|| Refusal::NotFound.into_response()),
        };
        // HTTP/2 says it with GOAWAY.
        if self.state.is_draining() && version < Version::HTTP_2 {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl Ingest {
    async fn webhook(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Full<Bytes>> {
        let started = Instant::now();
        let (parts, mut body) = request.into_parts();
        let served = self.state.served();
        let found = find(served.as_deref(), &parts);
        let source = found.as_ref().ok().map(|(_, source)| Arc::clone(source));
        let result = match found {
            Ok((served, source)) => self.take(served, source, parts, &mut body, peer).await,
            Err(refusal) => Err(refusal),
        };
        let response = match result {
            Ok(response) => response,
            Err(refusal) => {
                self.note(&refusal, source.as_deref(), peer);
                body::discard(&mut body).await;
                refusal.into_response()
            }
        };
        self.metrics.ingest_seconds.observe(started.elapsed().as_secs_f64());
        response
    }

    /// The stages, one after the other.
    async fn take(
        &self,
        served: &Served,
        source: &Source,
        parts: Parts,
        body: &mut Incoming,
        peer: SocketAddr,
    ) -> Result<Response<Full<Bytes>>, Refusal> {
        if matches!(self.state.streams(), Streams::Unseen | Streams::Unfit) {
            return Err(Refusal::Unavailable(Unavailable::NotDurable));
        }
        served.check_age(source, SystemTime::now())?;
        let intake = source.verifier.intake();
        let bounds = Bounds { bytes: intake.max_body_bytes as usize, time: self.body_timeout };
        let (received, memory) = body::receive(parts, body, peer, bounds, &self.budget).await?;
        let verified = source.verifier.verify(received)?;
        for (field, why) in &verified.unread {
            self.metrics.unread(&source.name, field, why);
        }
        // Only now: whoever cannot sign must not be able to use up what the source may send.
        if let Some(limiter) = &source.limiter {
            limiter.take()?;
        }
        let handled = source.chain.run(verified).await?;
        let answered = handled.answer.is_some();
        let enqueued = served.enqueue().put(&source.name, handled, memory).await?;
        let counter = if answered { &source.metrics.answered } else { &source.metrics.accepted };
        counter.inc();
        Ok(answer::durable(enqueued, intake.status))
    }

    /// Anyone can cause these at any rate, so they are counted, and logged where asked for. Why a signature
    /// was refused is what an operator looks for first, and is logged at a bounded rate.
    fn note(&self, refusal: &Refusal, source: Option<&Source>, peer: SocketAddr) {
        let name = source.map(|source| &source.name);
        self.metrics.refused(name, refusal.outcome());
        if let (Refusal::SignatureRefused(reason), Some(source)) = (refusal, source) {
            self.metrics.signature_refused(&source.name, reason.as_str());
            if let Some(left_out) = source.refusals.admit() {
                warn!(source = source.name.as_str(), %peer, %reason, left_out, "signature refused");
            }
        }
        debug!(source = name.map(|name| name.as_str()), %peer, %refusal, "request refused");
    }
}

fn find<'s>(served: Option<&'s Served>, parts: &Parts) -> Result<(&'s Served, &'s Arc<Source>), Refusal> {
    if parts.method != Method::POST {
        return Err(Refusal::MethodNotAllowed { allow: "POST" });
    }
    let served = served.ok_or(Refusal::Unavailable(Unavailable::NoConfiguration))?;
    let name = parts.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let source = served.source(name).ok_or(Refusal::NotFound)?;
    Ok((served, source))
}

impl From<NotEnqueued> for Refusal {
    fn from(error: NotEnqueued) -> Self {
        match error {
            NotEnqueued::Memory => Self::Unavailable(Unavailable::Memory),
            NotEnqueued::Queue => Self::Unavailable(Unavailable::Queue),
            NotEnqueued::NoAck => Self::Unavailable(Unavailable::NotDurable),
            // Bodies are bounded far below: handlers made it so large. Not the sender's fault, so no 4xx.
            NotEnqueued::TooLarge => Self::HandlerFault,
        }
    }
}

impl From<Rejected> for Refusal {
    fn from(_: Rejected) -> Self {
        Self::HandlerFault
    }
}
