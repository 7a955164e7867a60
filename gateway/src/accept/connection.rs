//! One connection: TLS handshake, then HTTP/1.1 or HTTP/2, until either side is done.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::net::TcpStream;
use tokio::sync::SetOnce;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::arriving::Arriving;
use super::explained::{Answering, Explained};
use super::listener::Service;
use super::{Refusal, answer, head, tls};
use crate::config::Limits;

/// How long a connection without any request yet stays open when the gateway stops.
const FIRST_REQUEST: Duration = Duration::from_millis(500);
/// Bytes of headers that HTTP/1 buffers at least.
const MIN_BUFFER: usize = 8 * 1024;
/// How many times the limit HTTP/2's headers may have to be told why they are refused.
const EXPLAINED: u32 = 2;
/// How often an HTTP/2 peer is pinged, and how long it may take to answer.
const PING: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));

/// Serves a connection to its end. Its failures are the peer's or the network's, and concern nobody else.
pub(super) async fn serve<S: Service>(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    service: Arc<S>,
    limits: &Limits,
    stop: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%peer, %error, "connection lost before it was served");
        return;
    }
    let Some(acceptor) = tls else {
        return speak(TokioIo::new(stream), peer, Protocol::Http1, service, limits, stop).await;
    };
    match tokio::time::timeout(limits.tls_handshake_timeout(), acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            let protocol = Protocol::of(stream.get_ref().1.alpn_protocol());
            speak(TokioIo::new(stream), peer, protocol, service, limits, stop).await;
        }
        Ok(Err(error)) => debug!(%peer, %error, "TLS handshake failed"),
        Err(_) => debug!(%peer, "TLS handshake took too long"),
    }
}

/// What ALPN agreed on; HTTP/1.1 where nothing did. Never guessed from the first bytes: waiting for those has no
/// deadline in hyper-util.
#[derive(Clone, Copy)]
enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    fn of(alpn: Option<&[u8]>) -> Self {
        if alpn == Some(tls::HTTP2) { Self::Http2 } else { Self::Http1 }
    }
}

async fn speak<S: Service>(
    io: impl Read + Write + Unpin + Send + 'static,
    peer: SocketAddr,
    protocol: Protocol,
    service: Arc<S>,
    limits: &Limits,
    stop: CancellationToken,
) {
    let begun = SetOnce::new();
    let max_bytes = limits.max_header_bytes as usize;
    let answering = Answering::default();
    let answer = service_fn(|request: Request<Incoming>| {
        // Set with the first request; later ones find it set.
        let _ = begun.set(());
        // At once, and not when the answer's turn comes: a head that is refused is not kept.
        let request = Checked::new(request, max_bytes);
        let (service, answering) = (Arc::clone(&service), Arc::clone(&answering));
        async move {
            let response = request.answer(&*service, peer).await;
            answering.store(true, Ordering::Relaxed);
            Ok::<_, Infallible>(response)
        }
    });
    let result = match protocol {
        Protocol::Http1 => {
            let informed = Arc::clone(&service);
            let note = move |refusal: &Refusal| informed.refused(refusal, peer);
            let io = Explained::new(io, Arc::clone(&answering), max_bytes, note);
            run(http1(limits).serve_connection(io, answer), &stop, &begun).await
        }
        Protocol::Http2 => run(http2(limits).serve_connection(io, answer), &stop, &begun).await,
    };
    if let Err(error) = result {
        debug!(%peer, %error, "connection ended early");
    }
}

async fn run<C: GracefulConnection>(
    connection: C,
    stop: &CancellationToken,
    begun: &SetOnce<()>,
) -> Result<(), C::Error> {
    let mut connection = pin!(connection);
    tokio::select! {
        result = connection.as_mut() => result,
        () = last_call(stop, begun) => {
            // GOAWAY or `connection: close`; requests under way are answered.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}

/// A request whose head was looked at.
enum Checked {
    Good(Request<Incoming>),
    Refused(Refusal, Version, Arriving),
}

impl Checked {
    fn new(request: Request<Incoming>, max_bytes: usize) -> Self {
        match head::check(&request, max_bytes) {
            Ok(()) => Self::Good(request),
            Err(refusal) => Self::Refused(refusal, request.version(), Arriving::of(request).1),
        }
    }

    async fn answer(self, service: &impl Service, peer: SocketAddr) -> Response<Full<Bytes>> {
        match self {
            Self::Good(request) => {
                let method = request.method().clone();
                answer::without_forbidden_content(&method, service.call(request, peer).await)
            }
            Self::Refused(refusal, version, mut body) => {
                service.refused(&refusal, peer);
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

/// Waits for `stop`, and then for whoever has only just connected: its first request is on its way.
async fn last_call(stop: &CancellationToken, begun: &SetOnce<()>) {
    stop.cancelled().await;
    // Whoever has sent nothing by then has nothing to lose.
    let _ = tokio::time::timeout(FIRST_REQUEST, begun.wait()).await;
}

fn http1(limits: &Limits) -> http1::Builder {
    let max_bytes = limits.max_header_bytes as usize;
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // A request that came whole is worked on to its end, whether its sender waits or has closed its side; and the
        // socket is not read while that happens.
        .half_close(true)
        .header_read_timeout(limits.header_timeout())
        // Counted when a head is whole, so that the verdict does not depend on how it was cut into segments.
        .max_header_size(max_bytes)
        .max_buf_size(MIN_BUFFER.max(max_bytes));
    builder
}

fn http2(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        // What is over the limit, and not over this, gets a problem document; the rest a bare 431 from h2.
        .max_header_list_size(limits.max_header_bytes.saturating_mul(EXPLAINED))
        .keep_alive_interval(PING.0)
        .keep_alive_timeout(PING.1);
    builder
}
