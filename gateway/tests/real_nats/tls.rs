//! TLS, and what ALPN chooses.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::signed;
use crate::region::{Region, until};

async fn connect(
    address: SocketAddr,
    authority: &CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
    alpn: &[&str],
) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

#[tokio::test]
async fn both_versions_and_both_protocols() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = tempfile::tempdir().unwrap();
    let (certificate, key) = (files.path().join("cert.pem"), files.path().join("key.pem"));
    std::fs::write(&certificate, cert.pem()).unwrap();
    std::fs::write(&key, signing_key.serialize_pem()).unwrap();
    let table =
        format!("[tls]\ncertificate_file = \"{}\"\nkey_file = \"{}\"", certificate.display(), key.display());
    let region = Region::bare("", &table).await;
    region.nats.provision().await;
    region.configure(region.snapshot(1, "{}")).await;
    until("it listens", async || TcpStream::connect(region.address).await.is_ok()).await;

    let authority = cert.der();
    for (version, alpn, chosen) in [
        (&rustls::version::TLS12, &["http/1.1"][..], Some("http/1.1")),
        (&rustls::version::TLS13, &["h2", "http/1.1"], Some("h2")),
        (&rustls::version::TLS13, &[], None),
    ] {
        let stream = connect(region.address, authority, version, alpn).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen.map(str::as_bytes));
    }

    let stream = connect(region.address, authority, &rustls::version::TLS13, &["h2"]).await;
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let post = || {
        let mut request = signed("{}").map(Full::<Bytes>::new);
        *request.uri_mut() = "https://localhost/in/github".parse().unwrap();
        request
    };
    let sender = &mut sender;
    for _ in 0..600 {
        if sender.send_request(post()).await.unwrap().status() == 200 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("never accepted");
}
