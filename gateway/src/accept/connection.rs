//! One connection: TLS handshake, then HTTP/1.1 or HTTP/2, until either side is done.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::rt::{Read, Write};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::sync::SetOnce;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::listener::Service;
use super::tls;
use crate::config::Limits;

/// How long a connection without any request yet stays open when the gateway stops.
const FIRST_REQUEST: Duration = Duration::from_millis(500);
/// Bytes of headers that HTTP/1 buffers at least.
const MIN_BUFFER: usize = 8 * 1024;
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
    let builder = builder(protocol, limits);
    let begun = SetOnce::new();
    let answer = service_fn(|request| {
        // Set with the first request; later ones find it set.
        let _ = begun.set(());
        let service = Arc::clone(&service);
        async move { Ok::<_, Infallible>(service.call(request, peer).await) }
    });
    let mut connection = pin!(builder.serve_connection(io, answer));
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = last_call(&stop, &begun) => {
            // GOAWAY or `connection: close`; requests under way are answered.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        debug!(%peer, error, "connection ended early");
    }
}

/// Waits for `stop`, and then for whoever has only just connected: its first request is on its way.
async fn last_call(stop: &CancellationToken, begun: &SetOnce<()>) {
    stop.cancelled().await;
    // Whoever has sent nothing by then has nothing to lose.
    let _ = tokio::time::timeout(FIRST_REQUEST, begun.wait()).await;
}

fn builder(protocol: Protocol, limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = match protocol {
        Protocol::Http1 => Builder::new(TokioExecutor::new()).http1_only(),
        Protocol::Http2 => Builder::new(TokioExecutor::new()).http2_only(),
    };
    builder
        .http1()
        .timer(TokioTimer::new())
        // A request that came whole is worked on to its end, whether its sender waits or has closed its side; and the
        // socket is not read while that happens.
        .half_close(true)
        .header_read_timeout(limits.header_timeout())
        .max_buf_size(MIN_BUFFER.max(limits.max_header_bytes as usize));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(limits.max_header_bytes)
        .keep_alive_interval(PING.0)
        .keep_alive_timeout(PING.1);
    builder
}
