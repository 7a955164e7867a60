//! Strangers: many connections that send little, or read nothing, and would have much for it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use floodgate_testkit::deployment::RegionEndpoint;
use floodgate_testkit::{Failure, Result, frames};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// A signature of the right form, and nobody's.
pub(super) const FORGED: (&str, &str) =
    ("webhook-signature", "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
const STREAMS: u32 = 128;
/// How long a stranger waits before it tries the same again.
const AGAIN: Duration = Duration::from_millis(500);

/// Where a gateway is, and how it is trusted.
#[derive(Clone)]
pub(crate) struct Address {
    socket: SocketAddr,
    http2: TlsConnector,
    http1: TlsConnector,
}

impl Address {
    pub(crate) fn of(region: &RegionEndpoint) -> Result<Self> {
        let port = region.url.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
        let port = port.ok_or_else(|| Failure::new("no port in the region's URL"))?;
        let authority = region.ca.as_ref().ok_or_else(|| Failure::new("no authority"))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(authority)? {
            roots.add(certificate?)?;
        }
        let connector = |protocol: &str| {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
            let mut config =
                builder.map(|builder| builder.with_root_certificates(roots.clone()).with_no_client_auth())?;
            config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
            Ok::<_, Failure>(TlsConnector::from(Arc::new(config)))
        };
        let (http1, http2) = (connector("http/1.1")?, connector("h2")?);
        Ok(Self { socket: SocketAddr::from(([127, 0, 0, 1], port)), http2, http1 })
    }

    /// From an address of this machine, of which `127.0.0.0/8` has many.
    pub(super) async fn connect_from(&self, from: Ipv4Addr) -> Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((from, 0)))?;
        Ok(socket.connect(self.socket).await?)
    }

    /// A TLS connection from such an address, for HTTP/1.1.
    pub(super) async fn shake_hands_from(
        &self,
        from: Ipv4Addr,
    ) -> Result<impl AsyncRead + AsyncWrite + Unpin + use<>> {
        Ok(self.http1.connect(ServerName::try_from("localhost")?, self.connect_from(from).await?).await?)
    }

    async fn connect(&self, connector: &TlsConnector) -> Result<impl AsyncRead + AsyncWrite + Unpin + use<>> {
        let name = ServerName::try_from("localhost")?;
        Ok(connector.connect(name, TcpStream::connect(self.socket).await?).await?)
    }
}

/// Strangers at work. They stop when dropped.
pub(crate) struct Strangers(#[expect(dead_code, reason = "dropping it ends its tasks")] JoinSet<()>);

impl Strangers {
    /// Begins every attack; each goes on, anew when it is ended.
    pub(crate) async fn begin(address: &Address, admin: &str) -> Result<Self> {
        let mut tasks = JoinSet::new();
        let attacks: [(usize, Vec<u8>); 5] = [
            (100, streams(|stream| frames::whole(stream, &frames::fields(900)))),
            (40, streams(|stream| frames::whole(stream, &frames::fields(90)))),
            (31, streams(|stream| frames::before_body(stream, &announced()))),
            (31, streams(body_begun)),
            // Not even a preface.
            (50, Vec::new()),
        ];
        for (connections, bytes) in attacks {
            let bytes = Arc::new(bytes);
            for _ in 0..connections {
                let (address, bytes) = (address.clone(), Arc::clone(&bytes));
                tasks.spawn(async move { again(|| hold_http2(&address, &bytes)).await });
            }
        }
        for (connections, bytes) in [
            (100, b"POST /in/standard HTTP/1.1\r\nhost: a\r\nx: ".to_vec()),
            (50, unread()),
            (50, slow_body()),
        ] {
            let bytes = Arc::new(bytes);
            for _ in 0..connections {
                let (address, bytes) = (address.clone(), Arc::clone(&bytes));
                tasks.spawn(async move { again(|| hold_http1(&address, &bytes)).await });
            }
        }
        let admin = admin.trim_start_matches("http://").parse::<SocketAddr>()?;
        for _ in 0..1_000 {
            tasks.spawn(async move { again(|| hold_admin(admin)).await });
        }
        // Quick connects, of which nothing more comes.
        let burst: Vec<_> = (0..600).map(|_| TcpStream::connect(address.socket)).collect();
        let connected = futures::future::join_all(burst).await;
        assert!(connected.iter().all(Result::is_ok), "a burst of connections fits the backlog");
        Ok(Self(tasks))
    }
}

async fn again<F: Future<Output = Result<()>> + Send>(attack: impl Fn() -> F) {
    loop {
        // However it ends, be it by the gateway.
        let _ = attack().await;
        tokio::time::sleep(AGAIN).await;
    }
}

fn streams(frame: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    let mut bytes = frames::PREFACE.to_vec();
    bytes.extend((0..STREAMS).flat_map(|number| frame(2 * number + 1)));
    bytes
}

fn announced() -> Vec<u8> {
    frames::post(
        "/in/standard",
        &[FORGED, ("webhook-id", "a"), ("webhook-timestamp", "1"), ("content-length", "1048576")],
    )
}

fn body_begun(stream: u32) -> Vec<u8> {
    [frames::before_body(stream, &announced()), frames::data(stream, &[b'x'; 1_500])].concat()
}

fn unread() -> Vec<u8> {
    b"GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n".repeat(20_000)
}

fn slow_body() -> Vec<u8> {
    let (name, value) = FORGED;
    let head = format!(
        "POST /in/standard HTTP/1.1\r\nhost: a\r\n{name}: {value}\r\nwebhook-id: a\r\nwebhook-timestamp: 1\r\n\
         content-length: 1048576\r\n\r\n"
    );
    [head.into_bytes(), vec![b'x'; 100_000]].concat()
}

/// Sends, and reads what comes until the gateway has had enough.
async fn hold_http2(address: &Address, bytes: &[u8]) -> Result<()> {
    let mut stream = address.connect(&address.http2).await?;
    stream.write_all(bytes).await?;
    stream.flush().await?;
    let mut ignored = [0; 4096];
    while stream.read(&mut ignored).await? > 0 {}
    Ok(())
}

/// Sends, and reads nothing.
async fn hold_http1(address: &Address, bytes: &[u8]) -> Result<()> {
    let mut stream = address.connect(&address.http1).await?;
    stream.write_all(bytes).await?;
    stream.flush().await?;
    // Longer than the gateway waits.
    tokio::time::sleep(Duration::from_secs(60)).await;
    Ok(())
}

async fn hold_admin(admin: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(admin).await?;
    stream.write_all(b"GET /v1/regions HTTP/1.1\r\nhost: a\r\nx").await?;
    let mut ignored = [0; 64];
    while stream.read(&mut ignored).await? > 0 {}
    Ok(())
}
