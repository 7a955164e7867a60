//! Sources that ask for the certificate of a TLS client.

use std::net::SocketAddr;
use std::sync::Arc;

use floodgate_event::scheme::Settings;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion};
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::client::{Client, signature};
use crate::region::{Region, until};
use crate::tls::Files;

const ASKING: &str = "request_client_certificates = true";

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut parameters = CertificateParams::new(vec![]).unwrap();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate of a client, and its key.
type Shown = (CertificateDer<'static>, KeyPair);

fn client(issuer: &Authority, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Shown {
    let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    change(&mut parameters);
    let key = KeyPair::generate().unwrap();
    (parameters.signed_by(&key, issuer).unwrap().der().clone(), key)
}

fn connector(
    gateway: &CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
    shown: Option<&Shown>,
) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(gateway.clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    let config = match shown {
        Some((certificate, key)) => {
            let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            builder.with_client_auth_cert(vec![certificate.clone()], key).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    TlsConnector::from(Arc::new(config))
}

/// Posts `{}` to a source. Returns the status and how the handshake went.
async fn post(address: SocketAddr, connector: &TlsConnector, source: &str) -> (u16, HandshakeKind) {
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let mut stream = connector.connect(name, stream).await.unwrap();
    let head = format!(
        "POST /in/{source} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-hub-signature-256: {}\r\n\
         content-length: 2\r\n\r\n{{}}",
        signature(b"{}")
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let kind = stream.get_ref().1.handshake_kind().unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), kind)
}

/// Until events are made durable: with a signature alone they need no certificate.
async fn until_accepted(region: &Region, gateway: &CertificateDer<'static>) {
    let connector = connector(gateway, &rustls::version::TLS13, None);
    until("events are accepted", async || post(region.address, &connector, "github").await.0 == 200).await;
}

fn settings(authority: &Authority) -> Settings {
    Settings {
        client_ca: vec![authority.pem()],
        client_names: vec!["DNS:sender.example".to_owned()],
        ..Settings::default()
    }
}

/// The sources `mtls`, `both` (a signature as well) and `github` (a signature alone).
async fn configure(region: &Region, authority: &Authority, revision: u64) {
    let mut snapshot = region.snapshot(revision, "{}");
    let mut mtls = region.source("mtls");
    (mtls.scheme, mtls.secrets) = ("mtls".parse().unwrap(), vec![]);
    mtls.settings = settings(authority);
    let mut both = region.source("both");
    both.settings = settings(authority);
    snapshot.sources.insert("mtls".parse().unwrap(), mtls);
    snapshot.sources.insert("both".parse().unwrap(), both);
    region.configure(snapshot).await;
    until("the sources are there", async || {
        region.report().await.is_some_and(|report| report.revision == revision)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_client_with_the_right_certificate_may_send() {
    let (files, gateway) = Files::new();
    let region = files.region_with_table(ASKING).await;
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    configure(&region, &ours, 2).await;
    until_accepted(&region, &gateway).await;
    let mut revision = 2;
    let yesterday = OffsetDateTime::now_utc() - time::Duration::days(1);
    let right = client(&ours, "sender.example", |_| {});
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for (case, shown, expected) in [
            ("the right one", Some(client(&ours, "sender.example", |_| {})), 200),
            ("another name", Some(client(&ours, "other.example", |_| {})), 401),
            ("another authority", Some(client(&theirs, "sender.example", |_| {})), 401),
            ("expired", Some(client(&ours, "sender.example", |old| old.not_after = yesterday)), 401),
            (
                "for servers",
                Some(client(&ours, "sender.example", |other| {
                    other.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
                })),
                401,
            ),
            ("none", None, 401),
        ] {
            let connector = connector(&gateway, version, shown.as_ref());
            assert_eq!(post(region.address, &connector, "mtls").await.0, expected, "{case}");
            assert_eq!(
                post(region.address, &connector, "both").await.0,
                expected,
                "{case}, with a signature"
            );
            assert_eq!(
                post(region.address, &connector, "github").await.0,
                200,
                "{case}, where none is asked for"
            );
        }
        // A session that is resumed has the certificate of its first handshake, and no other.
        let (with, without) =
            (connector(&gateway, version, Some(&right)), connector(&gateway, version, None));
        for (connector, expected) in [(&with, 200), (&without, 401)] {
            let first = post(region.address, connector, "mtls").await;
            let again = post(region.address, connector, "mtls").await;
            assert_eq!((first, again), ((expected, HandshakeKind::Full), (expected, HandshakeKind::Resumed)));
        }
        // The source trusts another authority from now on, and sessions of before go on.
        for (authority, expected) in [(&theirs, 401), (&ours, 200)] {
            revision += 1;
            configure(&region, authority, revision).await;
            assert_eq!(post(region.address, &with, "mtls").await, (expected, HandshakeKind::Resumed));
        }
    }
    let metrics = region.metrics().await;
    for reason in ["client_certificate", "header_missing", "not_allowed"] {
        let line = format!("floodgate_signatures_refused_total{{reason=\"{reason}\",source=\"mtls\"}}");
        assert!(metrics.contains(&line), "{line}");
    }
    region.stop().await.unwrap();
}

/// One connection, requests to several sources: each is judged by its own authorities.
#[tokio::test]
async fn each_request_of_a_connection_is_judged_by_its_source() {
    let (files, gateway) = Files::new();
    let region = files.region_with_table(ASKING).await;
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    let mut snapshot = region.snapshot(2, "{}");
    for (name, authority) in [("ours", &ours), ("theirs", &theirs)] {
        let mut source = region.source(name);
        source.settings = settings(authority);
        snapshot.sources.insert(name.parse().unwrap(), source);
    }
    region.configure(snapshot).await;
    until("the sources are there", async || region.report().await.is_some_and(|report| report.revision == 2))
        .await;
    until_accepted(&region, &gateway).await;
    let shown = client(&ours, "sender.example", |_| {});
    let connector = connector(&gateway, &rustls::version::TLS13, Some(&shown));
    let stream = TcpStream::connect(region.address).await.unwrap();
    let stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
    let mut client = Client::over(stream).await;
    for _ in 0..2 {
        assert_eq!(client.post_to("ours", "{}").await.status, 200);
        assert_eq!(client.post_to("theirs", "{}").await.status, 401);
        assert_eq!(client.post_to("github", "{}").await.status, 200);
    }
    region.stop().await.unwrap();
}

/// The source is refused by name, and no request of it is taken, signed or not.
#[tokio::test]
async fn where_no_client_is_asked_the_source_is_refused_with_the_reason() {
    let (files, gateway) = Files::new();
    let silent = files.region_with_table("").await;
    let plain = Region::with_source("{}").await;
    let ours = authority("ours");
    for (region, says) in [(&silent, "request_client_certificates = true"), (&plain, "without TLS")] {
        configure(region, &ours, 2).await;
        let report = region.report().await.unwrap();
        let mut refused: Vec<_> = report.refused.iter().map(|refused| refused.source.as_str()).collect();
        refused.sort_unstable();
        assert_eq!(refused, ["both", "mtls"]);
        assert!(report.refused.iter().all(|refused| refused.reason.contains(says)), "{:?}", report.refused);
    }
    until_accepted(&silent, &gateway).await;
    let shown = client(&ours, "sender.example", |_| {});
    let connector = connector(&gateway, &rustls::version::TLS13, Some(&shown));
    for (source, expected) in [("mtls", 503), ("both", 503), ("github", 200)] {
        assert_eq!(post(silent.address, &connector, source).await.0, expected, "{source}");
        assert_eq!(plain.client().await.post_to(source, "{}").await.status, expected, "{source}");
    }
    // Asking from now on would change what sources get, which a reload must not.
    let file = silent.folder().join("gateway.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("[tls]", &format!("[tls]\n{ASKING}"))).unwrap();
    silent.reload.send(()).await.unwrap();
    until("the reload is refused", async || {
        silent.metrics().await.contains("floodgate_reloads_total{outcome=\"refused\"} 1")
    })
    .await;
    assert_eq!(post(silent.address, &connector, "mtls").await.0, 503);
    silent.stop().await.unwrap();
    plain.stop().await.unwrap();
}
