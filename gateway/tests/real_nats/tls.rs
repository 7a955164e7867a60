//! TLS, and what ALPN chooses.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use floodgate_gateway::config::Config;
use http_body_util::Full;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::{signature, signed};
use crate::region::{Region, until};

fn client(
    authority: &CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
    alpn: &[&str],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

fn connector(
    authority: &CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
    alpn: &[&str],
) -> TlsConnector {
    TlsConnector::from(Arc::new(client(authority, version, alpn)))
}

pub(crate) async fn connect(
    address: SocketAddr,
    authority: &CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
    alpn: &[&str],
) -> TlsStream<TcpStream> {
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    connector(authority, version, alpn).connect(name, stream).await.unwrap()
}

/// Whether the gateway shows a certificate of this authority.
pub(crate) async fn shows(address: SocketAddr, authority: &CertificateDer<'static>) -> bool {
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    connector(authority, &rustls::version::TLS13, &[]).connect(name, stream).await.is_ok()
}

/// A certificate for `localhost` and its key, in a folder.
pub(crate) struct Files(tempfile::TempDir);

impl Files {
    pub(crate) fn new() -> (Self, CertificateDer<'static>) {
        let files = Self(tempfile::tempdir().unwrap());
        let authority = files.renew();
        (files, authority)
    }

    /// Replaces the certificate and its key.
    pub(crate) fn renew(&self) -> CertificateDer<'static> {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(self.certificate(), cert.pem()).unwrap();
        std::fs::write(self.key(), signing_key.serialize_pem()).unwrap();
        cert.der().clone()
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.0.path().join("cert.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.0.path().join("key.pem")
    }

    /// A region that serves them.
    pub(crate) async fn region(&self) -> Region {
        self.region_with(|_| {}).await
    }

    /// The same with further lines of the table `[tls]`.
    pub(crate) async fn region_with_table(&self, more: &str) -> Region {
        self.region_of(|_| {}, more).await
    }

    /// The same with changes of the configuration.
    pub(crate) async fn region_with(&self, change: impl FnOnce(&mut Config)) -> Region {
        self.region_of(change, "").await
    }

    async fn region_of(&self, change: impl FnOnce(&mut Config), more: &str) -> Region {
        let (certificate, key) = (self.certificate(), self.key());
        let table = format!(
            "[tls]\ncertificate_file = \"{}\"\nkey_file = \"{}\"\n{more}",
            certificate.display(),
            key.display()
        );
        let region = Region::changed(change, "", &table).await;
        region.nats.provision().await;
        region.configure(region.snapshot(1, "{}")).await;
        until("it listens", async || TcpStream::connect(region.address).await.is_ok()).await;
        region
    }
}

/// A client of HTTP/2, once an event of it was accepted.
pub(crate) async fn http2(
    address: SocketAddr,
    authority: &CertificateDer<'static>,
) -> SendRequest<Full<Bytes>> {
    let stream = connect(address, authority, &rustls::version::TLS13, &["h2"]).await;
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    until_accepted(&mut sender).await;
    sender
}

/// Sends an event until it is accepted.
pub(crate) async fn until_accepted(sender: &mut SendRequest<Full<Bytes>>) {
    let mut request = signed("{}").map(Full::<Bytes>::new);
    *request.uri_mut() = "https://localhost/in/github".parse().unwrap();
    for _ in 0..600 {
        if sender.send_request(request.clone()).await.unwrap().status() == 200 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("never accepted");
}

#[tokio::test]
async fn both_versions_and_both_protocols() {
    let (files, authority) = Files::new();
    let region = files.region().await;
    for (version, alpn, chosen) in [
        (&rustls::version::TLS12, &["http/1.1"][..], Some("http/1.1")),
        (&rustls::version::TLS13, &["h2", "http/1.1"], Some("h2")),
        (&rustls::version::TLS13, &[], None),
    ] {
        let stream = connect(region.address, &authority, version, alpn).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen.map(str::as_bytes));
    }

    http2(region.address, &authority).await;
}

#[tokio::test]
async fn a_changed_certificate_is_used_without_a_signal() {
    let poll = Duration::from_millis(50);
    let (files, first) = Files::new();
    let region = files.region_with(|config| config.certificate_poll = poll).await;
    let counted = async |line: &str| region.metrics().await.contains(line);
    std::fs::write(files.key(), "half a key").unwrap();
    let refused = "floodgate_reloads_total{outcome=\"refused\"} 1";
    until("the bad key is told", async || counted(refused).await).await;
    tokio::time::sleep(10 * poll).await;
    assert!(counted(refused).await, "once");
    assert!(shows(region.address, &first).await);

    let second = files.renew();
    until("the new one is shown", async || shows(region.address, &second).await).await;
    assert!(!shows(region.address, &first).await);
    assert!(counted("floodgate_reloads_total{outcome=\"done\"} 1").await);
    region.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_connection_resumes_the_session_of_the_first() {
    let (files, authority) = Files::new();
    let region = files.region().await;
    let connector = connector(&authority, &rustls::version::TLS13, &["http/1.1"]);
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect(region.address).await.unwrap();
        let mut stream = connector.connect(name, stream).await.unwrap();
        // Tickets come after the handshake, before the answer.
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
        kinds.push(stream.get_ref().1.handshake_kind());
    }
    assert_eq!(kinds, [Some(HandshakeKind::Full), Some(HandshakeKind::Resumed)]);
    region.stop().await.unwrap();
}

/// Shakes hands and posts this body in the same write as the handshake's last message. Returns the answer.
fn post_at_once(address: SocketAddr, config: ClientConfig, body: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut session = ClientConnection::new(Arc::new(config), name).unwrap();
    let head = format!(
        "POST /in/github HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-hub-signature-256: {}\r\n\
         content-length: {}\r\n\r\n",
        signature(body.as_bytes()),
        body.len()
    );
    session.write_tls(&mut stream).unwrap();
    while session.is_handshaking() {
        session.read_tls(&mut stream).unwrap();
        session.process_new_packets().unwrap();
    }
    session.writer().write_all((head + body).as_bytes()).unwrap();
    let mut flight = Vec::new();
    while session.wants_write() {
        session.write_tls(&mut flight).unwrap();
    }
    stream.write_all(&flight).unwrap();
    let mut answer = String::new();
    // Without an answer this is a reset.
    let _ = rustls::Stream::new(&mut session, &mut stream).read_to_string(&mut answer);
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_request_may_come_right_behind_the_handshake() {
    let (files, authority) = Files::new();
    let region = files.region().await;
    let post = async |body: String| {
        let (address, config) = (region.address, client(&authority, &rustls::version::TLS13, &["http/1.1"]));
        tokio::task::spawn_blocking(move || post_at_once(address, config, &body)).await.unwrap()
    };
    until("small requests are accepted", async || post("{}".into()).await.starts_with("HTTP/1.1 200")).await;
    for size in [10_000, 20_000, 40_000] {
        let answer = post(format!("\"{}\"", "x".repeat(size))).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{size} bytes: {answer}");
    }
}
