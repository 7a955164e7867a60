//! The relay's two listeners: the admin API, and metrics.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use floodgate_event::{Problem, ProblemCode, problem};
use floodgate_listen::{Bounds, Budget, Payload, Port, PortMetrics, Unread, Visit};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Connections at once, on each listener; more wait in the kernel's backlog.
const CONNECTIONS: usize = 512;
const BACKLOG: u32 = 1_024;
/// Bytes of a request's line and headers.
const HEAD_BYTES: usize = 32 * 1024;
/// How long a request may take to begin and to have its headers here, and so how
/// long a connection may be idle.
const HEAD_TIME: Duration = Duration::from_secs(20);
/// How long a peer may take no byte of an answer.
const WRITE_TIME: Duration = Duration::from_secs(20);
/// When the relay stops: how long requests that are not here whole may take, and how long all others may.
const LAST_BYTES: Duration = Duration::from_secs(1);
const LAST_ANSWERS: Duration = Duration::from_secs(10);
/// The memory for connections and heads. Bodies and answers are bounded by how many
/// requests the API takes at once.
const MEMORY_BYTES: usize = 32 * 1024 * 1024;

/// A router on a bound address.
pub(crate) struct Listener {
    listener: TcpListener,
    router: Router,
    metrics: PortMetrics,
}

impl Listener {
    /// Binds, so that a taken port is told before anything else begins.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub(crate) fn bind(address: SocketAddr, router: Router) -> Result<Self, BindError> {
        let refused = |error| BindError { address, error };
        let listener = floodgate_listen::bind(address, BACKLOG).map_err(refused)?;
        let metrics = PortMetrics::unregistered().map_err(|error| refused(std::io::Error::other(error)))?;
        Ok(Self { listener, router, metrics })
    }

    /// Serves until `shutdown`, then lets requests finish.
    pub(crate) async fn serve(self, shutdown: CancellationToken) {
        let port = Port {
            listener: self.listener,
            tls: None,
            service: Arc::new(Routed(self.router)),
            bounds: Arc::new(bounds()),
            budget: Budget::unshared(MEMORY_BYTES),
            metrics: self.metrics,
        };
        let cut = CancellationToken::new();
        let late = async {
            shutdown.cancelled().await;
            tokio::time::sleep(LAST_ANSWERS).await;
            cut.cancel();
        };
        tokio::join!(port.serve(shutdown.clone(), cut.clone()), cut.run_until_cancelled(late));
    }
}

fn bounds() -> Bounds {
    Bounds {
        connections: CONNECTIONS,
        backlog: BACKLOG,
        // HTTP/1 is all that is spoken without TLS.
        streams: 1,
        head_bytes: HEAD_BYTES,
        list_bytes: 0,
        handshake: HEAD_TIME,
        head: HEAD_TIME,
        write: WRITE_TIME,
        last_bytes: LAST_BYTES,
    }
}

struct Routed(Router);

impl floodgate_listen::Service for Routed {
    type Body = Body;

    fn call(
        self: Arc<Self>,
        request: Request<Payload>,
        visit: Visit,
    ) -> impl Future<Output = Response<Body>> + Send + 'static {
        let router = TowerToHyperService::new(self.0.clone());
        async move {
            // Held until there is an answer.
            let Ok(_memory) = visit.memory else { return refusal(ProblemCode::Unavailable) };
            match hyper::service::Service::call(&router, request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        }
    }

    fn explain(&self, unread: Unread, _: SocketAddr) -> Response<Bytes> {
        let code = match unread {
            Unread::Malformed => ProblemCode::Malformed,
            Unread::TargetTooLong => ProblemCode::UriTooLong,
            Unread::HeadTooLarge => ProblemCode::HeadersTooLarge,
        };
        refusal(code)
    }
}

fn refusal<B: From<Vec<u8>>>(code: ProblemCode) -> Response<B> {
    // Strings and a number always serialize; an empty body would still carry the status.
    let document = serde_json::to_vec(&Problem::new(code)).unwrap_or_default();
    let mut response = Response::new(document.into());
    // Every code's status is a valid one.
    *response.status_mut() = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(problem::CONTENT_TYPE));
    response
}

/// An address that cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    address: SocketAddr,
    #[source]
    error: std::io::Error,
}
