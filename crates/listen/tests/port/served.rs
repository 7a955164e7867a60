//! A port of this process, with small bounds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use floodgate_listen::{
    AnswerBody, Bounds, Budget, Payload, Port, PortMetrics, Proxies, RequestContext, Service, Tls,
    UnreadableHead,
};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

/// Only ends a test that has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// The size of the answer to `/large`, in bytes.
pub(crate) const LARGE: usize = 8 << 20;

/// Answers what is in the path.
struct Paths;

impl Service for Paths {
    type Body = AnswerBody;

    async fn call(
        self: Arc<Self>,
        request: Request<Payload>,
        context: RequestContext,
    ) -> Response<AnswerBody> {
        let Ok(mut memory) = context.memory else { return status(503) };
        match request.uri().path() {
            // The memory is held on.
            "/never" => std::future::pending().await,
            "/sender" => Response::new(AnswerBody::from(context.peer.to_string())),
            "/large" => match memory.grow_by(LARGE) {
                Ok(()) => Response::new(AnswerBody::new(vec![b'x'; LARGE], memory.split(LARGE))),
                Err(_) => status(503),
            },
            _ => match request.into_body().collect().await {
                Ok(body) => Response::new(AnswerBody::from(body.to_bytes())),
                Err(_) => status(400),
            },
        }
    }

    fn explain(&self, unread: UnreadableHead, _: SocketAddr) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(format!("{unread:?}")));
        *response.status_mut() = http::StatusCode::BAD_REQUEST;
        response
    }

    fn without_memory(&self, _: SocketAddr) -> Response<()> {
        status(503).map(drop)
    }
}

fn status(code: u16) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::default());
    *response.status_mut() = code.try_into().unwrap();
    response
}

/// A certificate for `localhost`, and itself as its authority.
fn certified() -> (Tls, CertificateDer<'static>) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let config = Arc::new(config);
    (Arc::new(move || Some(Arc::clone(&config))), cert.der().clone())
}

/// A port that is served.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) metrics: PortMetrics,
    pub(crate) budget: Budget,
    stop: CancellationToken,
    cut: CancellationToken,
    task: JoinHandle<()>,
    authority: Option<CertificateDer<'static>>,
}

/// Long times: a test that shortens one waits for that one alone.
pub(crate) fn bounds() -> Bounds {
    Bounds {
        connections: 64,
        address_connections: 64,
        backlog: 1_024,
        streams: 32,
        connection_requests: 1_000_000,
        head_fields: 100,
        head_bytes: 16 * 1024,
        list_bytes: 16 * 1024,
        handshakes: 64,
        address_handshakes: 64,
        handshake: PATIENCE * 2,
        head: PATIENCE * 2,
        write: PATIENCE * 2,
        last_bytes: Duration::from_millis(200),
    }
}

impl Served {
    pub(crate) fn plain(bounds: Bounds) -> Self {
        Self::start(bounds, Budget::unshared(64 << 20), None, Proxies::default())
    }

    /// Behind these proxies.
    pub(crate) fn behind(proxies: Proxies, bounds: Bounds, budget: Budget) -> Self {
        Self::start(bounds, budget, None, proxies)
    }

    /// Behind these proxies, with TLS.
    pub(crate) fn tls_behind(proxies: Proxies) -> Self {
        Self::start(bounds(), Budget::unshared(64 << 20), Some(certified()), proxies)
    }

    pub(crate) fn with_budget(bounds: Bounds, budget: Budget) -> Self {
        Self::start(bounds, budget, None, Proxies::default())
    }

    pub(crate) fn tls(bounds: Bounds) -> Self {
        Self::tls_with_budget(bounds, Budget::unshared(64 << 20))
    }

    pub(crate) fn tls_with_budget(bounds: Bounds, budget: Budget) -> Self {
        Self::start(bounds, budget, Some(certified()), Proxies::default())
    }

    fn start(
        bounds: Bounds,
        budget: Budget,
        tls: Option<(Tls, CertificateDer<'static>)>,
        proxies: Proxies,
    ) -> Self {
        let (tls, authority) = tls.unzip();
        let listener = floodgate_listen::bind("127.0.0.1:0".parse().unwrap(), bounds.backlog).unwrap();
        let address = listener.local_addr().unwrap();
        let metrics = PortMetrics::unregistered().unwrap();
        let port = Port {
            listener,
            tls,
            proxies,
            service: Arc::new(Paths),
            bounds: Arc::new(bounds),
            budget: budget.clone(),
            metrics: metrics.clone(),
        };
        let (stop, cut) = (CancellationToken::new(), CancellationToken::new());
        let task = tokio::spawn(port.serve(stop.clone(), cut.clone()));
        Self { address, metrics, budget, stop, cut, task, authority }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// From this address of the loopback network.
    pub(crate) async fn connect_from(&self, last: u8) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, last], 0).into()).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    pub(crate) async fn connect_tls(&self, alpn: &[&str]) -> TlsStream<TcpStream> {
        self.shake_hands(self.connect().await, alpn).await
    }

    pub(crate) async fn shake_hands(&self, stream: TcpStream, alpn: &[&str]) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone().expect("it serves TLS")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }

    /// How many connections were cut off for this reason.
    pub(crate) fn cut(&self, reason: &str) -> u64 {
        self.metrics.cut.with_label_values(&[reason]).get()
    }

    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !holds(self) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        within(what, waiting).await;
    }

    /// Says that nothing more is to be taken.
    pub(crate) fn begin_to_stop(&self) {
        self.stop.cancel();
    }

    pub(crate) fn cut_off(&self) {
        self.cut.cancel();
    }

    /// Waits until all its connections have ended.
    pub(crate) async fn stopped(self) {
        within("it has stopped", self.task).await.unwrap();
    }
}

/// The limit only ends a test that has failed.
pub(crate) async fn within<T>(what: &str, doing: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, doing).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

/// Reads until the other side closes, be it with a reset.
pub(crate) async fn read_to_end(mut stream: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What came before a reset counts.
    let _ = within("the other side closes", stream.read_to_end(&mut bytes)).await;
    bytes
}
