//! What every port of the gateway holds requests and answers to, before and after whatever serves them.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use floodgate_listen::{Held, Payload, Unread, Visit, check_head};
use http::header::CONNECTION;
use http::{HeaderMap, HeaderValue, Request, Response, Version};

use super::arriving::Arriving;
use super::{Refusal, answer};

/// What answers requests whose heads are good.
pub(crate) trait Service: Send + Sync + 'static {
    /// Answers one.
    fn call(&self, request: Request<Payload>, visit: Visit) -> impl Future<Output = Response<Held>> + Send;

    /// Told of a request that was refused for its head alone.
    fn refused(&self, refusal: &Refusal, peer: SocketAddr);
}

/// Looks at heads, and answers those that are not good.
pub(crate) struct Checking<S> {
    service: S,
    /// The most bytes of a head.
    head_bytes: usize,
}

impl<S> Checking<S> {
    /// In front of this service.
    pub(crate) fn new(service: S, head_bytes: usize) -> Self {
        Self { service, head_bytes }
    }
}

impl<S: Service> floodgate_listen::Service for Checking<S> {
    type Body = Held;

    fn call(
        self: Arc<Self>,
        request: Request<Payload>,
        visit: Visit,
    ) -> impl Future<Output = Response<Held>> + Send + 'static {
        // At once, and not when the answer's turn comes: a head that is refused is not kept.
        let request = Checked::new(request, &visit, self.head_bytes);
        async move { request.answer(&self.service, visit).await }
    }

    fn explain(&self, unread: Unread, peer: SocketAddr) -> Response<Bytes> {
        let refusal = match unread {
            Unread::Malformed => Refusal::Malformed("the head is not HTTP"),
            Unread::TargetTooLong => Refusal::TargetTooLong,
            Unread::HeadTooLarge => Refusal::HeadTooLarge { limit: self.head_bytes },
        };
        self.service.refused(&refusal, peer);
        refusal.into_response().map(Held::into_bytes)
    }
}

/// A request whose head was looked at.
enum Checked {
    Good(Request<Payload>),
    Refused(Refusal, Version, Arriving),
}

impl Checked {
    fn new(mut request: Request<Payload>, visit: &Visit, max_bytes: usize) -> Self {
        if let Err(bad) = check_head(&request, max_bytes) {
            return Self::Refused(bad.into(), request.version(), Arriving::of(request).1);
        }
        if visit.memory.is_err() {
            // Nothing is kept that is not counted. What can still be said needs no headers:
            // that it cannot be taken, or how this process is.
            *request.headers_mut() = HeaderMap::new();
        }
        Self::Good(request)
    }

    async fn answer(self, service: &impl Service, visit: Visit) -> Response<Held> {
        match self {
            Self::Good(request) => {
                let method = request.method().clone();
                answer::without_forbidden_content(&method, service.call(request, visit).await)
            }
            Self::Refused(refusal, version, mut body) => {
                service.refused(&refusal, visit.peer);
                // Its memory is not needed any more.
                drop(visit);
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
