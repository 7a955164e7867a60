//! The relay's two listeners: the admin API and the metrics.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use floodgate_event::{Problem, ProblemCode, problem};
use floodgate_listen::{
    BadHead, Bounds, Budget, HeadLimits, Payload, Port, PortMetrics, Proxies, RequestContext, UnreadableHead,
    check_head,
};
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The most connections at once, on each listener. Others wait in the kernel's backlog.
const CONNECTIONS: usize = 512;
const BACKLOG: u32 = 1_024;
/// The most bytes of a request's line and headers.
const HEAD_BYTES: usize = 32 * 1024;
/// The most header fields of a request.
const HEAD_FIELDS: usize = 100;
/// The most requests on one connection.
const CONNECTION_REQUESTS: u64 = 1_000_000;
/// How long it may take until the headers of a request have arrived, and so how long a connection may be
/// idle.
const HEAD_TIME: Duration = Duration::from_secs(20);
/// How long a peer may go without reading a byte of its answer.
const WRITE_TIME: Duration = Duration::from_secs(20);
/// How long requests may still take when the relay stops: first those that have not arrived whole, then all.
const LAST_BYTES: Duration = Duration::from_secs(1);
const LAST_ANSWERS: Duration = Duration::from_secs(10);
/// The memory for connections and heads. Bodies and answers are bounded by the number of requests that the
/// API takes at once.
const MEMORY_BYTES: usize = 32 * 1024 * 1024;

/// A router and the port that it is bound to.
pub(crate) struct Listener {
    listener: TcpListener,
    router: Router,
    metrics: PortMetrics,
}

impl Listener {
    /// Binds the address. This happens before anything else starts, so that a port in use is reported at
    /// once.
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
            proxies: Proxies::default(),
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
            // Then `serve` ends by itself.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = port.serve(shutdown.clone(), cut.clone()) => {}
            () = late => {}
        }
    }
}

fn bounds() -> Bounds {
    Bounds {
        connections: CONNECTIONS,
        // Most clients of an admin API are behind one proxy.
        address_connections: CONNECTIONS,
        backlog: BACKLOG,
        // Without TLS, only HTTP/1 is spoken.
        streams: 1,
        connection_requests: CONNECTION_REQUESTS,
        head_fields: HEAD_FIELDS,
        head_bytes: HEAD_BYTES,
        list_bytes: 0,
        // There are none without TLS.
        handshakes: CONNECTIONS,
        address_handshakes: CONNECTIONS,
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
        context: RequestContext,
    ) -> impl Future<Output = Response<Body>> + Send + 'static {
        let router = TowerToHyperService::new(self.0.clone());
        let checked = check_head(&request, HeadLimits { bytes: HEAD_BYTES, fields: HEAD_FIELDS });
        async move {
            if let Err(bad) = checked {
                return bad_head(bad);
            }
            // Held until there is an answer.
            let Ok(_memory) = context.memory else { return refusal(ProblemCode::Unavailable) };
            match hyper::service::Service::call(&router, request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        }
    }

    fn explain(&self, unread: UnreadableHead, _: SocketAddr) -> Response<Bytes> {
        let code = match unread {
            UnreadableHead::Malformed => ProblemCode::Malformed,
            UnreadableHead::TargetTooLong => ProblemCode::UriTooLong,
            UnreadableHead::HeadTooLarge => ProblemCode::HeadersTooLarge,
        };
        refusal(code)
    }

    /// Only HTTP/1 is spoken here, which has no streams.
    fn without_memory(&self, _: SocketAddr) -> Response<()> {
        refusal::<Vec<u8>>(ProblemCode::Unavailable).map(drop)
    }
}

fn bad_head<B: From<Vec<u8>>>(bad: BadHead) -> Response<B> {
    let (code, what) = match bad {
        BadHead::Malformed(what) => (ProblemCode::Malformed, what),
        BadHead::NotImplemented(what) => (ProblemCode::NotImplemented, what),
        BadHead::TooLarge { .. } => return refusal(ProblemCode::HeadersTooLarge),
        BadHead::Expectation => (ProblemCode::ExpectationFailed, "`100-continue` or none"),
    };
    let mut response = answer(&Problem::with_detail(code, what));
    // The length that a bad head gives for its body cannot be relied on.
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn refusal<B: From<Vec<u8>>>(code: ProblemCode) -> Response<B> {
    answer(&Problem::new(code))
}

fn answer<B: From<Vec<u8>>>(problem: &Problem) -> Response<B> {
    // Strings and a number always serialize; an empty body would still carry the status.
    let document = serde_json::to_vec(problem).unwrap_or_default();
    let mut response = Response::new(document.into());
    // The status of every code is valid.
    *response.status_mut() =
        StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
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

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn heads_that_http_forbids_are_refused_with_the_reason() {
        let router = Router::new().route("/", get(async || "well").post(async |body: Bytes| body));
        let listener = Listener::bind(([127, 0, 0, 1], 0).into(), router).unwrap();
        let address = listener.listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(listener.serve(shutdown.clone()));

        let good = ask(address, "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
        assert!(good.starts_with("HTTP/1.1 200 ") && good.ends_with("\r\n\r\nwell"), "{good}");
        for (request, status, what) in [
            ("GET / HTTP/1.1\r\n\r\n", 400, "no Host header"),
            ("GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", 400, "more than one Host header"),
            ("GET / HTTP/1.1\r\nhost: a b\r\n\r\n", 400, "invalid Host header"),
            (
                "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
                501,
                "chunked",
            ),
            (
                "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
                400,
                "chunked",
            ),
            ("POST / HTTP/1.1\r\nhost: a\r\nexpect: x\r\ncontent-length: 1\r\n\r\n", 417, "100-continue"),
        ] {
            let answer = ask(address, request).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
            assert!(answer.contains(problem::CONTENT_TYPE) && answer.contains(what), "{request}: {answer}");
        }
        shutdown.cancel();
        tokio::time::timeout(LAST_ANSWERS / 2, serving).await.expect("it waits for nobody").unwrap();
    }
}
