//! One connection: the TLS handshake, then HTTP/1.1 or HTTP/2, until either side ends it.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use crate::activity::{ActiveRequest, Activity};
use crate::answer::Sent;
use crate::bounds::Bounds;
use crate::buffers::{Buffers, Turn};
use crate::client::Client;
use crate::ended::Ended;
use crate::explained::{Answering, Explained};
use crate::head;
use crate::memory::{Account, Budget, Exhausted, Reservation};
use crate::payload::Payload;
use crate::places::{Place, Places, Turn as HandshakeTurn};
use crate::protocol::{self, HTTP2, Protocol};
use crate::proxies::{self, Fault, Proxies};
use crate::socket::{Delivered, Socket};
use crate::watch::{Step, Stops, Watch};
use crate::{RequestContext, Service};

/// How much of an answer TLS buffers: one record.
const TLS_BUFFER: usize = 16 * 1024;
/// How often a paused connection checks whether there is memory to read more.
const PAUSE: Duration = Duration::from_millis(100);
/// The bytes of a request that stay in memory until its answer is written.
const ANSWER_BYTES: usize = 2 * 1024;
/// The bytes of an open HTTP/2 stream: its task, which is as large as everything that a request may wait for,
/// and its state. They stay in memory until its answer is written. In HTTP/1 they are the connection's.
const STREAM_BYTES: usize = 16 * 1024;

/// Gives the TLS configuration for the next connection, or None for plain text. A port asks for each
/// connection, so that a renewed certificate counts from the next one on.
pub type Tls = Arc<dyn Fn() -> Option<Arc<ServerConfig>> + Send + Sync>;

/// What all connections of a port share.
pub(crate) struct Shared<S> {
    pub(crate) places: Places,
    pub(crate) tls: Option<Tls>,
    pub(crate) proxies: Proxies,
    pub(crate) service: Arc<S>,
    pub(crate) bounds: Arc<Bounds>,
    pub(crate) budget: Budget,
}

/// What a connection has of its port's bounds.
pub(crate) struct Admitted {
    place: Place,
    memory: Reservation,
}

impl<S> Shared<S> {
    /// Takes a place and `bytes` of memory for a connection of this address.
    pub(crate) fn admit(&self, address: IpAddr, bytes: usize) -> Result<Admitted, Ended> {
        let place = self.places.take(address, self.proxies.trusts(address));
        let place = place.ok_or(Ended::AddressConnections)?;
        let memory = self.budget.account(address).reserve(bytes).map_err(|Exhausted| Ended::Memory)?;
        Ok(Admitted { place, memory })
    }
}

/// Serves a connection to its end. An error is the peer's or the network's fault, and affects no other
/// connection. `sender` is the address that the connection comes from, and becomes what a proxy tells.
pub(crate) async fn serve<S: Service>(
    mut stream: TcpStream,
    sender: &mut SocketAddr,
    mut admitted: Admitted,
    shared: &Arc<Shared<S>>,
    stops: Stops,
) -> Result<(), Ended> {
    stream.set_nodelay(true).map_err(Ended::Handshake)?;
    let opening = Opening::new(&shared.bounds, &stops);
    if shared.proxies.protocol
        && let Some(told) = opening.proxied(&mut stream, shared.proxies.trusts(sender.ip())).await?
    {
        *sender = told;
        // Counted for the sender before it is given back for the proxy.
        admitted = shared.admit(told.ip(), admitted.memory.bytes())?;
    }
    // The place is held to the end of the connection.
    let Admitted { place, memory } = admitted;
    let activity = Arc::new(Activity::new(shared.bounds.connection_requests, shared.bounds.streams));
    let account = memory.account().clone();
    let mut http =
        HttpConnection { peer: *sender, client: None, account, activity, shared: Arc::clone(shared) };
    let Some(config) = shared.tls.as_ref().and_then(|offered| offered()) else {
        let socket = Socket::new(stream, Arc::clone(&http.activity));
        return http.serve(socket, memory, Protocol::Http1, stops).await;
    };
    let turn = opening.turn(&stream, &place).await?;
    let socket = Socket::new(stream, Arc::clone(&http.activity));
    let stream = Box::pin(opening.shake_hands(&TlsAcceptor::from(config), socket, &place)).await?;
    drop(turn);
    let client = Client::of(stream.get_ref().1, &http.account).map_err(|Exhausted| Ended::Memory)?;
    http.client = client.map(Arc::new);
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
    let protocol = if is_http2 { Protocol::Http2 } else { Protocol::Http1 };
    http.serve(stream, memory, protocol, stops).await
}

/// What a peer must do before HTTP begins. The PROXY header and the TLS handshake share one time.
struct Opening<'a> {
    until: Instant,
    bounds: &'a Bounds,
    stops: &'a Stops,
}

impl<'a> Opening<'a> {
    fn new(bounds: &'a Bounds, stops: &'a Stops) -> Self {
        Self { until: Instant::now() + bounds.handshake, bounds, stops }
    }

    /// The address that a trusted proxy tells. A peer that is not trusted must tell none.
    async fn proxied(&self, stream: &mut TcpStream, is_trusted: bool) -> Result<Option<SocketAddr>, Ended> {
        let telling = async {
            match is_trusted {
                true => proxies::read(stream).await,
                false => proxies::refuse(stream).await.map(|()| None),
            }
        };
        let late = if is_trusted { Ended::Proxy(Fault::Late) } else { Ended::SlowHandshake };
        Ok(self.in_time(telling, late).await??)
    }

    /// Waits until the peer has begun its handshake, and then until one more may be under way. A peer that
    /// says nothing keeps nobody waiting.
    async fn turn(&self, stream: &TcpStream, place: &Place) -> Result<HandshakeTurn, Ended> {
        // Not `readable`, which is true also after exactly what there was has been read.
        self.in_time(stream.peek(&mut [0]), Ended::SlowHandshake).await?.map_err(Ended::Handshake)?;
        let turn = self.in_time(place.turn(), Ended::Handshakes).await?;
        // The semaphores are never closed.
        turn.map_err(|_| Ended::Handshakes)
    }

    /// Makes the TLS handshake. While others wait for their turn, it may take only a second or two.
    async fn shake_hands(
        &self,
        acceptor: &TlsAcceptor,
        socket: Socket,
        place: &Place,
    ) -> Result<Box<TlsStream<Socket>>, Ended> {
        let accepting = acceptor.accept(socket.for_handshake());
        let accepted = tokio::select! {
            accepted = self.in_time(accepting, Ended::SlowHandshake) => accepted?,
            () = place.handshakes_are_crowded() => return Err(Ended::SlowHandshake),
        };
        // Boxed, as the connection is: each function that it passes through would keep room for it.
        let mut stream = Box::new(accepted.map_err(Ended::Handshake)?);
        let (socket, session) = stream.get_mut();
        socket.handshake_done();
        session.set_buffer_limit(Some(TLS_BUFFER));
        Ok(stream)
    }

    async fn in_time<T>(&self, step: impl Future<Output = T>, late: Ended) -> Result<T, Ended> {
        let stopped = async {
            self.stops.stop.cancelled().await;
            sleep(self.bounds.last_bytes).await;
        };
        tokio::select! {
            result = step => Ok(result),
            () = sleep_until(self.until) => Err(late),
            () = self.stops.crowded() => Err(late),
            () = stopped => Err(Ended::Left),
        }
    }
}

/// A connection after the handshake.
struct HttpConnection<S> {
    peer: SocketAddr,
    client: Option<Arc<Client>>,
    account: Account,
    activity: Arc<Activity>,
    shared: Arc<Shared<S>>,
}

impl<S: Service> HttpConnection<S> {
    async fn serve(
        self,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        memory: Reservation,
        protocol: Protocol,
        stops: Stops,
    ) -> Result<(), Ended> {
        let bounds = &self.shared.bounds;
        let io = TokioIo::new(Delivered::new(io, Arc::clone(&self.activity)));
        let buffers = Buffers::new(Arc::clone(&self.activity), memory, protocol, bounds);
        let watch = Watch::new(Arc::clone(&self.activity), Arc::clone(bounds), stops);
        let answering = Answering::default();
        let answer = service_fn(|request| self.answer(request, protocol, Arc::clone(&answering)));
        let result = match protocol {
            Protocol::Http1 => {
                let (service, peer) = (Arc::clone(&self.shared.service), self.peer);
                let explain = move |unread| service.explain(unread, peer);
                let io = Explained::new(io, Arc::clone(&answering), explain);
                let connection = Box::pin(protocol::http1(bounds).serve_connection(io, answer));
                drive(connection, |connection| connection.graceful_shutdown(), buffers, watch).await
            }
            Protocol::Http2 => {
                let connection = Box::pin(protocol::http2(bounds).serve_connection(io, answer));
                drive(connection, |connection| connection.graceful_shutdown(), buffers, watch).await
            }
        };
        match result {
            // A peer may close it in any way then.
            Ok(()) | Err(Ended::Protocol(_)) if self.activity.is_spent() => Err(Ended::Requests),
            result => result,
        }
    }

    /// Counts a request's head before anything waits, because HTTP/2 may bring many at once.
    fn answer(
        &self,
        request: Request<Incoming>,
        protocol: Protocol,
        answering: Answering,
    ) -> impl Future<Output = Result<Response<Sent<S::Body>>, Infallible>> + Send + use<S> {
        let (parts, body) = request.into_parts();
        let peer = self.shared.proxies.sender(&parts.headers, self.peer);
        let (stream_bytes, arrived) = match protocol {
            // An earlier body's framing is among the bytes that no request took, but in no head.
            Protocol::Http1 => {
                let taken = self.activity.take_head(head::wire_bytes(&parts));
                (0, taken.min(protocol::buffer_bytes(&self.shared.bounds)))
            }
            Protocol::Http2 => {
                // Its buffers are counted by what they may become.
                self.activity.take_head(usize::MAX);
                (STREAM_BYTES, 0)
            }
        };
        let mut memory = self.account_of(peer).reserve(head::cost(&parts, arrived) + stream_bytes);
        let kept = memory.as_mut().ok().map(|memory| memory.split(ANSWER_BYTES + stream_bytes));
        let active = self.activity.begin(kept);
        let ends = protocol == Protocol::Http1 && self.activity.is_spent();
        let service = &self.shared.service;
        let response = match protocol == Protocol::Http2 && memory.is_err() {
            true => Err(service.without_memory(peer)),
            false => {
                let request = Request::from_parts(parts, Payload::new(body, Arc::clone(&active)));
                let context = RequestContext { peer, client: self.client.clone(), memory };
                // Boxed: HTTP/1 keeps room for it also while no request is under way.
                Ok(Box::pin(Arc::clone(service).call(request, context)))
            }
        };
        async move {
            let response = match response {
                Ok(response) => response.await.map(Some),
                Err(bare) => bare.map(|()| None),
            };
            answering.store(true, Ordering::Relaxed);
            let mut response = response.map(|body| sent(body, active, protocol));
            if ends {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response)
        }
    }

    /// Returns the sender's account: a connection from a proxy carries the requests of many senders.
    fn account_of(&self, sender: SocketAddr) -> Account {
        match sender == self.peer {
            true => self.account.clone(),
            false => self.shared.budget.account(sender.ip()),
        }
    }
}

/// The socket shows that an HTTP/1 peer does not read. An HTTP/2 peer may read the socket and open no window.
fn sent<B>(body: Option<B>, active: Arc<ActiveRequest>, protocol: Protocol) -> Sent<B> {
    active.answered(protocol == Protocol::Http2);
    Sent::new(body, active)
}

async fn drive<C: Future<Output = hyper::Result<()>>>(
    mut connection: Pin<Box<C>>,
    close: impl Fn(Pin<&mut C>),
    mut buffers: Buffers,
    mut watch: Watch,
) -> Result<(), Ended> {
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
