//! The way of one request: accept, verify, handle, enqueue, answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use floodgate_listen::{Held, Payload, Visit};
use http::header::CONNECTION;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, Version};
use tracing::{debug, warn};

use super::operations::health;
use super::served::{Served, Source};
use super::state::{State, Streams};
use crate::accept::arriving::Arriving;
use crate::accept::body::{self, Bounds, Pauses};
use crate::accept::refusal::Unavailable;
use crate::accept::service::Service;
use crate::accept::{Refusal, answer, path};
use crate::chain::NotHandled;
use crate::enqueue::NotEnqueued;
use crate::metrics::Metrics;

const PREFIX: &str = "/in/";
/// What a source's path takes.
const ALLOWED: &str = "POST, OPTIONS";
/// What some path of this port takes.
const ALLOWED_IN_ALL: &str = "GET, HEAD, POST, OPTIONS";

/// Answers on the senders' port.
pub(super) struct Ingest {
    pub(super) state: Arc<State>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) pauses: Pauses,
}

impl Service for Ingest {
    async fn call(&self, request: Request<Payload>, visit: Visit) -> Response<Held> {
        let version = request.version();
        let (parts, mut body) = Arriving::of(request);
        let (mut response, goes_on) = if source_name(&path::normal(parts.uri.path())).is_some() {
            self.webhook(parts, &mut body, visit).await
        } else {
            self.other(&parts, &mut body, visit.peer).await
        };
        // HTTP/2 says it with GOAWAY.
        if version < Version::HTTP_2 && (!goes_on || self.state.is_draining()) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn refused(&self, refusal: &Refusal, peer: SocketAddr) {
        self.note(refusal, None, peer);
    }
}

/// An answer, and whether the connection can be used for another request.
type Answered = (Response<Held>, bool);

impl Ingest {
    async fn webhook(&self, parts: Parts, body: &mut Arriving, visit: Visit) -> Answered {
        let (started, peer) = (Instant::now(), visit.peer);
        let served = self.state.served();
        let found = find(served.as_deref(), &parts);
        let source = found.as_ref().ok().map(|(_, source)| Arc::clone(source));
        let result = match found {
            Ok(_) if parts.method == Method::OPTIONS => Ok(answer::options(ALLOWED)),
            Ok((served, source)) => self.take(served, source, (parts, body), visit).await,
            Err(refusal) => Err(refusal),
        };
        let answered = match result {
            Ok(response) => (response, body.let_go().await),
            Err(refusal) => self.refuse(refusal, source.as_deref(), body, peer).await,
        };
        self.metrics.ingest_seconds.observe(started.elapsed().as_secs_f64());
        answered
    }

    /// Health, and what is not here.
    async fn other(&self, parts: &Parts, body: &mut Arriving, peer: SocketAddr) -> Answered {
        if parts.method == Method::OPTIONS && parts.uri.path() == "*" {
            return (answer::options(ALLOWED_IN_ALL), body.let_go().await);
        }
        match health(&self.state, &parts.method, &path::normal(parts.uri.path())) {
            Some(Ok(response)) => (response, body.let_go().await),
            Some(Err(refusal)) => self.refuse(refusal, None, body, peer).await,
            None => self.refuse(Refusal::NotFound, None, body, peer).await,
        }
    }

    async fn refuse(
        &self,
        refusal: Refusal,
        source: Option<&Source>,
        body: &mut Arriving,
        peer: SocketAddr,
    ) -> Answered {
        self.note(&refusal, source, peer);
        let goes_on = body.let_go().await;
        (refusal.into_response(), goes_on)
    }

    /// The stages, one after the other.
    async fn take(
        &self,
        served: &Served,
        source: &Source,
        (parts, body): (Parts, &mut Arriving),
        visit: Visit,
    ) -> Result<Response<Held>, Refusal> {
        if let Err(exhausted) = &visit.memory {
            return Err((*exhausted).into());
        }
        if matches!(self.state.streams(), Streams::Unseen | Streams::Unfit) {
            return Err(Refusal::Unavailable(Unavailable::NotDurable));
        }
        if self.state.runs_no_handlers() && source.chain.has_handlers() {
            return Err(Refusal::Unavailable(Unavailable::Handlers));
        }
        served.check_age(source, SystemTime::now())?;
        // Nobody is asked for a body that would be refused whatever it says.
        source.verifier.check_signed(&parts.headers)?;
        if let Some(limiter) = &source.limiter {
            limiter.check_open()?;
        }
        let intake = source.verifier.intake();
        let bounds = Bounds { bytes: intake.max_body_bytes as usize, pauses: self.pauses };
        let received = body::receive(parts, body, visit, bounds).await?;
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
        let enqueued = served.enqueue().put(&source.name, handled).await?;
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

/// The name in a source's path.
fn source_name(path: &str) -> Option<&str> {
    path.strip_prefix(PREFIX)
}

fn find<'s>(served: Option<&'s Served>, parts: &Parts) -> Result<(&'s Served, &'s Arc<Source>), Refusal> {
    if parts.method != Method::POST && parts.method != Method::OPTIONS {
        return Err(Refusal::MethodNotAllowed { allow: ALLOWED });
    }
    let served = served.ok_or(Refusal::Unavailable(Unavailable::NoConfiguration))?;
    let path = path::normal(parts.uri.path());
    let name = source_name(&path).ok_or(Refusal::NotFound)?;
    let missing = || match served.is_refused(name) {
        true => Refusal::Unavailable(Unavailable::Refused),
        false => Refusal::NotFound,
    };
    Ok((served, served.source(name).ok_or_else(missing)?))
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

impl From<NotHandled> for Refusal {
    fn from(error: NotHandled) -> Self {
        match error {
            NotHandled::Rejected(_) => Self::HandlerFault,
            NotHandled::Memory(exhausted) => exhausted.into(),
        }
    }
}
