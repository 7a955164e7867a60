//! TLS, and what ALPN chooses.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::signed;
use crate::region::{Region, until};

fn connector(
    authority: &CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
    alpn: &[&str],
) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsConnector::from(Arc::new(config))
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

    /// Replaces both.
    pub(crate) fn renew(&self) -> CertificateDer<'static> {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(self.certificate(), cert.pem()).unwrap();
        std::fs::write(self.key(), signing_key.serialize_pem()).unwrap();
        cert.der().clone()
    }

    fn certificate(&self) -> PathBuf {
        self.0.path().join("cert.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.0.path().join("key.pem")
    }

    /// A region that serves them.
    pub(crate) async fn region(&self) -> Region {
        let (certificate, key) = (self.certificate(), self.key());
        let table = format!(
            "[tls]\ncertificate_file = \"{}\"\nkey_file = \"{}\"",
            certificate.display(),
            key.display()
        );
        let region = Region::bare("", &table).await;
        region.nats.provision().await;
        region.configure(region.snapshot(1, "{}")).await;
        until("it listens", async || TcpStream::connect(region.address).await.is_ok()).await;
        region
    }
}

/// Sends it until it is accepted.
pub(crate) async fn until_accepted(sender: &mut SendRequest<Full<Bytes>>, request: &Request<Full<Bytes>>) {
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

    let stream = connect(region.address, &authority, &rustls::version::TLS13, &["h2"]).await;
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = signed("{}").map(Full::<Bytes>::new);
    *request.uri_mut() = "https://localhost/in/github".parse().unwrap();
    until_accepted(&mut sender, &request).await;
}
