//! The checks of requests and answers that every port of the gateway makes, around the service of the port.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use floodgate_listen::{AnswerBody, HeadLimits, Payload, RequestContext, UnreadableHead, check_head};
use http::header::CONNECTION;
use http::{HeaderMap, HeaderValue, Request, Response, Version};

use super::arriving::Arriving;
use super::refusal::Unavailable;
use super::{Refusal, answer};

/// Answers requests whose heads were checked.
pub(crate) trait Service: Send + Sync + 'static {
    /// Answers a request whose head was accepted.
    fn call(
        &self,
        request: Request<Payload>,
        context: RequestContext,
    ) -> impl Future<Output = Response<AnswerBody>> + Send;

    /// Called for a request that was refused for its head alone.
    fn refused(&self, refusal: &Refusal, peer: SocketAddr);

    /// Called for a connection that was refused: see [`floodgate_listen::Service::connection_refused`].
    fn connection_refused(&self, peer: SocketAddr, reason: &'static str, why: &dyn Display) {
        let _ = (peer, reason, why);
    }
}

/// Checks heads, and refuses those that break a rule.
pub(crate) struct Checking<S> {
    service: S,
    head: HeadLimits,
}

impl<S> Checking<S> {
    /// Checks heads within these limits in front of `service`.
    pub(crate) fn new(service: S, head: HeadLimits) -> Self {
        Self { service, head }
    }
}

impl<S: Service> floodgate_listen::Service for Checking<S> {
    type Body = AnswerBody;

    fn call(
        self: Arc<Self>,
        request: Request<Payload>,
        context: RequestContext,
    ) -> impl Future<Output = Response<AnswerBody>> + Send + 'static {
        // At once, and not when the answer's turn comes: a head that is refused is not kept.
        let request = Checked::new(request, &context, self.head);
        async move { request.answer(&self.service, context).await }
    }

    fn connection_refused(&self, peer: SocketAddr, reason: &'static str, why: &dyn Display) {
        self.service.connection_refused(peer, reason, why);
    }

    fn explain(&self, unread: UnreadableHead, peer: SocketAddr) -> Response<Bytes> {
        let refusal = match unread {
            UnreadableHead::Malformed => Refusal::Malformed("the head is not HTTP"),
            UnreadableHead::TargetTooLong => Refusal::TargetTooLong,
            UnreadableHead::HeadTooLarge => Refusal::HeadTooLarge { limit: self.head },
        };
        self.service.refused(&refusal, peer);
        refusal.into_response().map(AnswerBody::into_bytes)
    }

    fn without_memory(&self, peer: SocketAddr) -> Response<()> {
        let refusal = Refusal::Unavailable(Unavailable::Memory);
        self.service.refused(&refusal, peer);
        answer::without_body(refusal.into_response()).map(drop)
    }
}

/// A request with the result of the checks of its head.
enum Checked {
    Good(Request<Payload>),
    Refused(Refusal, Version, Arriving),
}

impl Checked {
    fn new(mut request: Request<Payload>, context: &RequestContext, limits: HeadLimits) -> Self {
        if let Err(bad) = check_head(&request, limits) {
            return Self::Refused(bad.into(), request.version(), Arriving::of(request).1);
        }
        if context.memory.is_err() {
            // Nothing is kept that is not counted. What can still be said needs no headers:
            // that it cannot be taken, or how this process is.
            *request.headers_mut() = HeaderMap::new();
        }
        Self::Good(request)
    }

    async fn answer(self, service: &impl Service, context: RequestContext) -> Response<AnswerBody> {
        match self {
            Self::Good(request) => {
                let method = request.method().clone();
                answer::without_forbidden_content(&method, service.call(request, context).await)
            }
            Self::Refused(refusal, version, mut body) => {
                service.refused(&refusal, context.peer);
                // Its memory is not needed any more.
                drop(context);
                body.let_go().await;
                let mut response = refusal.into_response();
                if version < Version::HTTP_2 {
                    // What a bad head says of its body's length is not to be relied on.
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                response
            }
        }
    }
}
