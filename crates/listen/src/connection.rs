//! One connection: TLS handshake, then HTTP/1.1 or HTTP/2, until either side is done.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::activity::{Activity, Ongoing};
use crate::answer::Sent;
use crate::bounds::Bounds;
use crate::buffers::{Buffers, Turn};
use crate::explained::{Answering, Explained};
use crate::head;
use crate::memory::{Account, Reservation};
use crate::payload::Payload;
use crate::port::Tls;
use crate::socket::Socket;
use crate::watch::{Step, Stops, Watch};
use crate::{Service, Visit};

/// ALPN's name of HTTP/2 (RFC 9113).
pub const HTTP2: &[u8] = b"h2";
/// Bytes of headers that HTTP/1 buffers at least.
const MIN_BUFFER: usize = 8 * 1024;
/// What TLS buffers of an answer: one record.
const TLS_BUFFER: usize = 16 * 1024;
/// How often an HTTP/2 peer is pinged, and how long it may take to answer.
const PING: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));
/// When to look again whether there is memory to go on reading.
const PAUSE: Duration = Duration::from_millis(100);
/// What stays of a request until its answer is written.
const ANSWER_BYTES: usize = 2 * 1024;

/// Why a connection was ended by this side, or by a fault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error("TLS handshake failed: {0}")]
    Handshake(#[source] std::io::Error),
    #[error("TLS handshake took too long")]
    SlowHandshake,
    #[error("{0}")]
    Protocol(#[source] hyper::Error),
    #[error("no memory for what it sent")]
    Memory,
    #[error("the peer does not read its answers")]
    Unread,
    #[error("it did not end by itself")]
    Left,
}

impl Ended {
    /// What it is called in metrics, where this side cut it off.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Handshake(_) | Self::Protocol(_) => None,
            Self::SlowHandshake => Some("handshake"),
            Self::Memory => Some("memory"),
            Self::Unread => Some("unread"),
            Self::Left => Some("idle"),
        }
    }
}

/// What ALPN agreed on; HTTP/1.1 where nothing did. Never guessed from the first bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// What connections of a port share.
pub(crate) struct Shared<S> {
    pub(crate) tls: Option<Tls>,
    pub(crate) service: Arc<S>,
    pub(crate) bounds: Arc<Bounds>,
}

/// Serves a connection to its end. Its failures are the peer's or the network's, and concern nobody else.
pub(crate) async fn serve<S: Service>(
    stream: TcpStream,
    peer: SocketAddr,
    memory: Reservation,
    shared: &Shared<S>,
    stops: Stops,
) -> Result<(), Ended> {
    stream.set_nodelay(true).map_err(Ended::Handshake)?;
    let activity = Arc::new(Activity::new());
    let socket = Socket::new(stream, Arc::clone(&activity));
    let account = memory.account().clone();
    let talk = Talk {
        peer,
        account,
        activity,
        bounds: Arc::clone(&shared.bounds),
        service: Arc::clone(&shared.service),
    };
    let Some(config) = shared.tls.as_ref().and_then(|offered| offered()) else {
        return talk.speak(TokioIo::new(socket), memory, Protocol::Http1, stops).await;
    };
    let stream = shake_hands(&TlsAcceptor::from(config), socket, &shared.bounds, &stops).await?;
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
    let protocol = if is_http2 { Protocol::Http2 } else { Protocol::Http1 };
    talk.speak(TokioIo::new(stream), memory, protocol, stops).await
}

async fn shake_hands(
    acceptor: &TlsAcceptor,
    socket: Socket,
    bounds: &Bounds,
    stops: &Stops,
) -> Result<TlsStream<Socket>, Ended> {
    let stopped = async {
        stops.stop.cancelled().await;
        sleep(bounds.last_bytes).await;
    };
    let mut stream = tokio::select! {
        result = acceptor.accept(socket.for_handshake()) => result.map_err(Ended::Handshake)?,
        () = sleep(bounds.handshake) => return Err(Ended::SlowHandshake),
        () = stops.crowded() => return Err(Ended::SlowHandshake),
        () = stopped => return Err(Ended::Left),
    };
    let (socket, session) = stream.get_mut();
    socket.handshake_done();
    session.set_buffer_limit(Some(TLS_BUFFER));
    Ok(stream)
}

/// A connection that speaks HTTP.
struct Talk<S> {
    peer: SocketAddr,
    account: Account,
    activity: Arc<Activity>,
    bounds: Arc<Bounds>,
    service: Arc<S>,
}

impl<S: Service> Talk<S> {
    async fn speak(
        self,
        io: impl Read + Write + Unpin + Send + 'static,
        memory: Reservation,
        protocol: Protocol,
        stops: Stops,
    ) -> Result<(), Ended> {
        let buffers = Buffers::new(Arc::clone(&self.activity), memory, protocol, &self.bounds);
        let watch = Watch::new(Arc::clone(&self.activity), Arc::clone(&self.bounds), stops);
        let answering = Answering::default();
        let answer = service_fn(|request| self.answer(request, protocol, Arc::clone(&answering)));
        match protocol {
            Protocol::Http1 => {
                let (service, peer) = (Arc::clone(&self.service), self.peer);
                let explain = move |unread| service.explain(unread, peer);
                let io = Explained::new(io, Arc::clone(&answering), explain);
                let connection = http1(&self.bounds).serve_connection(io, answer);
                attend(connection, |connection| connection.graceful_shutdown(), buffers, watch).await
            }
            Protocol::Http2 => {
                let connection = http2(&self.bounds).serve_connection(io, answer);
                attend(connection, |connection| connection.graceful_shutdown(), buffers, watch).await
            }
        }
    }

    /// Takes a request's head into account before anything waits: HTTP/2 brings many at once.
    fn answer(
        &self,
        request: Request<Incoming>,
        protocol: Protocol,
        answering: Answering,
    ) -> impl Future<Output = Result<Response<Sent<S::Body>>, Infallible>> + Send + use<S> {
        let (parts, body) = request.into_parts();
        let mut memory = self.account.reserve(head::cost(&parts));
        let kept = memory.as_mut().ok().map(|memory| memory.split(ANSWER_BYTES));
        let ongoing = self.activity.begin(kept);
        let request = Request::from_parts(parts, Payload::new(body, Arc::clone(&ongoing)));
        let response = Arc::clone(&self.service).call(request, Visit { peer: self.peer, memory });
        async move {
            let response = response.await;
            answering.store(true, Ordering::Relaxed);
            Ok(response.map(|body| sent(body, ongoing, protocol)))
        }
    }
}

/// The socket says if an HTTP/1 peer does not read. One of HTTP/2 may read everything and open no window.
fn sent<B>(body: B, ongoing: Arc<Ongoing>, protocol: Protocol) -> Sent<B> {
    ongoing.answered(protocol == Protocol::Http2);
    Sent::new(body, ongoing)
}

async fn attend<C: Future<Output = hyper::Result<()>>>(
    connection: C,
    close: impl Fn(Pin<&mut C>),
    mut buffers: Buffers,
    mut watch: Watch,
) -> Result<(), Ended> {
    let mut connection = pin!(connection);
    let mut is_paused = false;
    loop {
        let step = tokio::select! {
            biased;
            turn = poll_fn(|context| buffers.turn(connection.as_mut(), context)) => match turn {
                Turn::Ended(result) => return result,
                Turn::Paused => {
                    is_paused = true;
                    continue;
                }
            },
            step = watch.next() => step,
            () = sleep(PAUSE), if is_paused => {
                is_paused = buffers.are_full();
                continue;
            }
        };
        match step {
            Step::Close => close(connection.as_mut()),
            Step::End(ended) => return Err(ended),
        }
    }
}

fn http1(bounds: &Bounds) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // A request that came whole is worked on to its end, whether its sender waits or has closed its side;
        // and the socket is not read while that happens.
        .half_close(true)
        .header_read_timeout(bounds.head)
        // Counted when a head is whole, so that the verdict does not depend on how it was cut into segments.
        .max_header_size(bounds.head_bytes)
        .max_buf_size(MIN_BUFFER.max(bounds.head_bytes));
    builder
}

fn http2(bounds: &Bounds) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(bounds.streams)
        .max_header_list_size(bounds.list_bytes)
        .keep_alive_interval(PING.0)
        .keep_alive_timeout(PING.1);
    builder
}
