//! Takes one request through its stages: accept, verify, handle, enqueue, answer.

mod events;
mod refuse;

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use floodgate_ingress::{AccessLog, AddressRate, Outcome};
use floodgate_listen::{Account, AnswerBody, Payload, RequestContext};
use floodgate_schemes::{Answer, Note};
use http::header::CONNECTION;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, Version};
use tokio::time::timeout_at;
use tracing::{info, warn};

use super::operations::health;
use super::served::{Served, Source};
use super::state::{State, Streams};
use crate::accept::arriving::Arriving;
use crate::accept::body::{self, Bounds};
use crate::accept::pace::Pauses;
use crate::accept::refusal::Unavailable;
use crate::accept::service::Service;
use crate::accept::{Refusal, Refused, answer, path};
use crate::chain::NotHandled;
use crate::metrics::Metrics;
use crate::stage::Verified;
use crate::verify::Verification;
use floodgate_enqueue::{Enqueued, NotEnqueued};
use floodgate_published::{Confirmer, Published};
use floodgate_rejects::{Holder, Rejects};

const PREFIX: &str = "/in/";
/// The methods of a source's path.
const ALLOWED: &str = "POST, OPTIONS";
/// The methods that at least one path of this port takes.
const ALLOWED_IN_ALL: &str = "GET, HEAD, POST, OPTIONS";

/// The outcome in metrics of a handshake that was answered with an error.
const HANDSHAKE_REFUSED: &str = "handshake_refused";
/// Answers on the senders' port.
pub(super) struct Ingest {
    pub(super) state: Arc<State>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) pauses: Pauses,
    pub(super) published: Published,
    pub(super) confirmer: Confirmer,
    pub(super) rejects: Rejects,
    pub(super) holder: Arc<Holder>,
    pub(super) address_rate: Option<Arc<AddressRate>>,
    pub(super) access_log: Option<Arc<AccessLog>>,
}

impl Service for Ingest {
    async fn call(&self, request: Request<Payload>, context: RequestContext) -> Response<AnswerBody> {
        let (version, peer) = (request.version(), context.peer);
        // Boxed, because few requests have one.
        let line = self.access_log.as_ref().and_then(|log| log.begin(&request, peer)).map(Box::new);
        let limited = self.address_rate.as_ref().and_then(|rate| rate.take(peer.ip()).err());
        let (parts, mut body) = Arriving::of(request);
        let is_webhook = {
            let path = path::normal(parts.uri.path());
            source_name(&path).is_some() || events::are_sent(&parts.method, &path)
        };
        let (mut response, goes_on) = if let Some(refusal) = limited {
            drop((parts, context));
            Box::pin(self.refuse(Refusal::from(refusal).into(), None, &mut body, peer)).await
        } else if is_webhook {
            self.webhook(parts, &mut body, context).await
        } else {
            Box::pin(self.other(parts, &mut body, peer)).await
        };
        // HTTP/2 says it with GOAWAY.
        if version < Version::HTTP_2 && (!goes_on || self.state.is_draining()) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(line) = line {
            line.end(&mut response, body.bytes());
        }
        response
    }

    fn refused(&self, refusal: &Refusal, peer: SocketAddr) {
        self.note(&refusal.clone().into(), None, peer);
        if let Some(log) = &self.access_log {
            log.refused_head(peer, refusal.status(), refusal.outcome());
        }
    }

    fn connection_refused(&self, peer: SocketAddr, reason: &'static str, why: &dyn Display) {
        self.rejects.connection(peer, reason, why);
    }
}

/// An answer, and whether the connection can be used for another request.
type Answered = (Response<AnswerBody>, bool);

impl Ingest {
    async fn webhook(&self, parts: Parts, body: &mut Arriving, context: RequestContext) -> Answered {
        let (started, peer) = (Instant::now(), context.peer);
        let served = self.state.served();
        // Without memory the head was dropped, and with it whatever names the source.
        let found = match &context.memory {
            Ok(_) => find(served.as_deref(), &parts),
            Err(exhausted) => Err((*exhausted).into()),
        };
        let source = found.as_ref().ok().map(|(_, source)| Arc::clone(source));
        let result = match found {
            Ok((_, source)) if parts.method != Method::POST => {
                let asked = Box::pin(self.ask(source, &parts, &context)).await;
                asked.map_err(|refusal| Refused::unread(refusal, parts))
            }
            Ok((served, source)) => self.take(served, source, (parts, body), context).await,
            Err(refusal) => Err(Refused::unread(refusal, parts)),
        };
        let answered = match result {
            Ok(response) => (response, body.let_go().await),
            Err(refused) => Box::pin(self.refuse(refused, source.as_deref(), body, peer)).await,
        };
        self.metrics.ingest_seconds.observe(started.elapsed().as_secs_f64());
        answered
    }

    /// Answers a request by another method than POST: a handshake, or an OPTIONS that asks for the methods.
    async fn ask(
        &self,
        source: &Source,
        parts: &Parts,
        context: &RequestContext,
    ) -> Result<Response<AnswerBody>, Refusal> {
        let now = SystemTime::now();
        source.verifier.check_sender(context, now)?;
        let memory = context.memory.as_ref().map_err(|exhausted| *exhausted)?.account();
        match source.verifier.question(parts, now) {
            Some(answer) => self.handshake(source, answer?, memory).await,
            None if parts.method == Method::OPTIONS => Ok(answer::options(source.verifier.allow())),
            None => Err(Refusal::MethodNotAllowed { allow: source.verifier.allow() }),
        }
    }

    /// Answers a handshake, after doing what it asks for besides the answer. The answer is counted in the
    /// account of `memory`: it may repeat as much as the sender sent. It does not count for the source's rate
    /// limit, which whoever cannot sign must not be able to use up.
    async fn handshake(
        &self,
        source: &Source,
        answer: Answer,
        memory: &Account,
    ) -> Result<Response<AnswerBody>, Refusal> {
        if let Some(Note::Confirm(address)) = &answer.note {
            let confirmed = self.confirmer.confirm(address).await;
            confirmed.map_err(|reason| {
                warn!(source = source.name.as_str(), reason, "a subscription cannot be confirmed");
                Refusal::Unavailable(Unavailable::Confirmation)
            })?;
            info!(source = source.name.as_str(), "a subscription was confirmed");
        }
        match answer.status {
            200..=299 => source.metrics.handshakes.inc(),
            // Meta wants 403 for a wrong token.
            _ => self.metrics.refused(Some(&source.name), HANDSHAKE_REFUSED),
        }
        let memory = memory.reserve(answer.bytes())?;
        let mut response = answer::handshake(answer, memory);
        self.tell(&mut response, || Outcome::of("handshake", &source.name, None));
        Ok(response)
    }

    /// Keeps what became of a request for its line in the access log, if there is one.
    fn tell(&self, response: &mut Response<AnswerBody>, outcome: impl FnOnce() -> Outcome) {
        if self.access_log.is_some() {
            response.extensions_mut().insert(outcome());
        }
    }

    /// Answers paths that are not a source's: health, or 404.
    async fn other(&self, parts: Parts, body: &mut Arriving, peer: SocketAddr) -> Answered {
        if parts.method == Method::OPTIONS && parts.uri.path() == "*" {
            return (answer::options(ALLOWED_IN_ALL), body.let_go().await);
        }
        let path = path::normal(parts.uri.path());
        let answer = events::ask(&parts.method, &path).or_else(|| health(&self.state, &parts.method, &path));
        match answer {
            Some(Ok(response)) => (response, body.let_go().await),
            // A health check needs no record: its answer says why.
            Some(Err(refusal)) => {
                let code = refusal.outcome();
                self.metrics.refused(None, code);
                let mut response = refusal.into_response();
                self.tell(&mut response, || Outcome { code, source: None, event: None });
                (response, body.let_go().await)
            }
            None => self.refuse(Refused::unread(Refusal::NotFound, parts), None, body, peer).await,
        }
    }

    /// Runs the stages, one after the other. What is rare, or comes after the body, is boxed: its state would
    /// otherwise be held for every request that has begun.
    async fn take(
        &self,
        served: &Served,
        source: &Source,
        (parts, body): (Parts, &mut Arriving),
        context: RequestContext,
    ) -> Result<Response<AnswerBody>, Refused> {
        if let Err(refusal) = self.admit(served, source, &parts, &context) {
            return Err(Refused::unread(refusal, parts));
        }
        let intake = source.verifier.intake();
        let bounds = Bounds { bytes: intake.max_body_bytes as usize, pauses: self.pauses };
        let mut received = body::receive(parts, body, context, bounds).await?;
        if source.verifier.preset().own_applications {
            return Ok(Box::pin(self.take_events(served, source, received)).await?);
        }
        let memory = received.memory().account().clone();
        let verified = match source.verifier.verify(received, &self.published).await? {
            Verification::Event(verified) => verified,
            Verification::Handshake(answer) => {
                return Ok(Box::pin(self.handshake(source, answer, &memory)).await?);
            }
        };
        source.used(&verified.event);
        Ok(Box::pin(self.take_one(served, source, *verified)).await?)
    }

    /// Takes an event that was verified, and answers once it is on disk.
    async fn take_one(
        &self,
        served: &Served,
        source: &Source,
        verified: Verified,
    ) -> Result<Response<AnswerBody>, Refusal> {
        self.state.shedder().check(verified.lane())?;
        // Only now, because a sender who cannot sign must not be able to use up the source's rate limit.
        if let Some(limiter) = &source.limiter {
            limiter.take()?;
        }
        let enqueued = self.make_durable(served, source, verified, None).await?;
        let code = if enqueued.answered().is_some() { "answered" } else { "accepted" };
        let outcome = Outcome::of(code, &source.name, Some(enqueued.id()));
        let (status, body) = (source.verifier.intake().status, source.verifier.preset().accepted_body);
        let mut response = answer::durable(enqueued, status, body);
        self.tell(&mut response, || outcome);
        Ok(response)
    }

    /// Runs the handlers over an event, until a time if there is one, and waits until the result is on disk.
    async fn make_durable(
        &self,
        served: &Served,
        source: &Source,
        verified: Verified,
        until: Option<tokio::time::Instant>,
    ) -> Result<Enqueued, Refusal> {
        for (field, why) in &verified.unread {
            self.metrics.unread(&source.name, field, why);
        }
        let running = source.chain.run(verified);
        let handled = match until {
            // Nothing is enqueued before the handlers end, so nothing is lost.
            Some(until) => timeout_at(until, running).await.map_err(|_| Unavailable::Late)??,
            None => running.await?,
        };
        // A handler may have moved it.
        self.state.shedder().check(handled.lane())?;
        let answered = handled.answer.is_some();
        let enqueued = served.enqueue().put(&source.name, handled).await?;
        let counter = if answered { &source.metrics.answered } else { &source.metrics.accepted };
        counter.inc();
        Ok(enqueued)
    }

    /// Refuses what can be refused before the sender is asked for a body.
    fn admit(
        &self,
        served: &Served,
        source: &Source,
        parts: &Parts,
        context: &RequestContext,
    ) -> Result<(), Refusal> {
        if let Err(exhausted) = &context.memory {
            return Err((*exhausted).into());
        }
        if matches!(self.state.streams(), Streams::Unseen | Streams::Unfit) {
            return Err(Refusal::Unavailable(Unavailable::NotDurable));
        }
        if self.state.runs_no_handlers() && source.chain.has_handlers() {
            return Err(Refusal::Unavailable(Unavailable::Handlers));
        }
        let now = SystemTime::now();
        served.check_age(source, now)?;
        source.verifier.check_sender(context, now)?;
        source.verifier.check_signed(parts)?;
        if let Some(limiter) = &source.limiter {
            limiter.check_open()?;
        }
        Ok(self.state.shedder().check(source.verifier.most_urgent())?)
    }
}

/// Returns the name in a source's path.
fn source_name(path: &str) -> Option<&str> {
    path.strip_prefix(PREFIX)
}

fn find<'s>(served: Option<&'s Served>, parts: &Parts) -> Result<(&'s Served, &'s Arc<Source>), Refusal> {
    if ![Method::POST, Method::GET, Method::HEAD, Method::OPTIONS].contains(&parts.method) {
        return Err(Refusal::MethodNotAllowed { allow: ALLOWED });
    }
    let served = served.ok_or(Refusal::Unavailable(Unavailable::NoConfiguration))?;
    let path = path::normal(parts.uri.path());
    if path == events::PATH {
        return Ok((served, served.tokens.source(&parts.headers)?));
    }
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
            // Handlers made the event too large: bodies are bounded far below. So it is not the sender's
            // fault, and not a 4xx.
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
