//! Handshakes in memory, with certificates in files.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use floodgate_event::ClientCertificates;
use floodgate_event::seal::OpeningKey;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::client::{ClientConnection, Resumption};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ServerConnection;
use rustls::sign::{CertifiedKey as CertifiedKeyOfClient, SingleCertAndKey};
use rustls::{
    CertificateError, CipherSuite, ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion,
};

use super::*;

const HOUR: u64 = 60 * 60;

fn hours(hours: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(480_000 * HOUR + hours * HOUR)
}

/// Writes a certificate for these names and its key, and returns their files.
fn write(folder: &Path, file: &str, names: &[&str]) -> (Pair, CertificateDer<'static>) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    let pair =
        Pair { certificate: folder.join(format!("{file}.pem")), key: folder.join(format!("{file}.key")) };
    std::fs::write(&pair.certificate, cert.pem()).unwrap();
    std::fs::write(&pair.key, signing_key.serialize_pem()).unwrap();
    (pair, cert.der().clone())
}

fn sources(default: Pair, named: Vec<Pair>) -> Sources {
    let tickets = Arc::new(Tickets::new(&OpeningKey::generate(), || hours(0), false));
    Sources { default, named, tickets, asks_clients: false }
}

fn client(
    authorities: &[&CertificateDer<'static>],
    version: &'static SupportedProtocolVersion,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add((*authority).clone()).unwrap();
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(8);
    config
}

/// Shakes hands, and passes on the tickets that come after it.
fn connect(
    client: &Arc<ClientConfig>,
    server: &ServerIdentity,
    name: &str,
) -> Result<ClientConnection, rustls::Error> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name)?;
    let mut server = ServerConnection::new(Arc::clone(&server.config))?;
    for _ in 0..8 {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut unread = &bytes[..];
        while !unread.is_empty() {
            server.read_tls(&mut unread).unwrap();
            server.process_new_packets()?;
        }
        bytes.clear();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut unread = &bytes[..];
        while !unread.is_empty() {
            client.read_tls(&mut unread).unwrap();
            client.process_new_packets()?;
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(client)
}

fn shown(server: &ServerIdentity, authorities: &[&CertificateDer<'static>], name: &str) -> Option<Vec<u8>> {
    let client = Arc::new(client(authorities, &TLS13));
    let connection = connect(&client, server, name).ok()?;
    Some(connection.peer_certificates()?.first()?.to_vec())
}

#[test]
fn the_name_that_a_client_asks_for_chooses_the_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let write = |file, names: &[&str]| write(folder.path(), file, names);
    let (default, default_der) = write("default", &["hooks.example.com", "other.test"]);
    let (exact, exact_der) = write("exact", &["EU.example.com"]);
    let (wild, wild_der) = write("wild", &["*.example.com", "us.example.com"]);
    let server = sources(default, vec![exact, wild]).load().unwrap();
    let all = [&default_der, &exact_der, &wild_der];
    for (name, expected) in [
        ("hooks.example.com", &default_der),
        ("other.test", &default_der),
        ("eu.example.com", &exact_der),
        ("us.example.com", &wild_der),
        ("any.example.com", &wild_der),
    ] {
        assert_eq!(shown(&server, &all, name).as_deref(), Some(&expected[..]), "{name}");
    }
    // The default is for these. It has not their name, so the client refuses it.
    for unknown in ["example.com", "a.b.example.com", "elsewhere.test"] {
        let client = Arc::new(client(&all, &TLS13));
        match connect(&client, &server, unknown) {
            Err(rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext {
                presented,
                ..
            })) => assert!(presented.iter().any(|name| name.contains("other.test")), "{presented:?}"),
            other => panic!("{unknown}: {other:?}"),
        }
    }
    assert_eq!(server.fingerprints.len(), 3);
}

#[test]
fn a_pair_that_cannot_be_used_is_refused_by_the_name_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let (default, _) = write(folder.path(), "default", &["hooks.example.com"]);
    let (other, _) = write(folder.path(), "other", &["eu.example.com"]);
    let (nameless, _) = write(folder.path(), "nameless", &["192.0.2.1"]);
    let mixed = Pair { certificate: other.certificate, key: default.key.clone() };
    let gone = Pair { key: folder.path().join("gone"), ..default.clone() };
    let folder_as_key = Pair { key: folder.path().to_owned(), ..default.clone() };
    let no_key = Pair { key: default.certificate.clone(), ..default.clone() };
    for (pair, file, is_of_content) in [
        (mixed, "other.pem", true),
        (nameless.clone(), "nameless.pem", true),
        (no_key, "default.pem", true),
        (gone, "gone", false),
        (folder_as_key, "", false),
    ] {
        let refused = sources(default.clone(), vec![pair]).load().unwrap_err();
        assert!(refused.path.ends_with(file), "{refused:?}");
        assert_eq!(refused.source.is_of_content(), is_of_content, "{refused:?}");
    }
    assert!(sources(nameless, Vec::new()).load().is_ok(), "the default needs no name");
}

/// Shakes hands twice, first at one gateway and then at another.
fn second(version: &'static SupportedProtocolVersion, first: Tickets, then: Tickets) -> HandshakeKind {
    let folder = tempfile::tempdir().unwrap();
    let (pair, authority) = write(folder.path(), "default", &["localhost"]);
    let gateway =
        |tickets| Sources { tickets: Arc::new(tickets), ..sources(pair.clone(), Vec::new()) }.load().unwrap();
    let client = Arc::new(client(&[&authority], version));
    let full = connect(&client, &gateway(first), "localhost").unwrap();
    assert_eq!(full.handshake_kind(), Some(HandshakeKind::Full));
    connect(&client, &gateway(then), "localhost").unwrap().handshake_kind().unwrap()
}

#[test]
fn a_ticket_of_one_gateway_resumes_at_the_others_of_its_region() {
    for version in [&TLS12, &TLS13] {
        let key = OpeningKey::generate();
        let of = |clock| Tickets::new(&key, clock, false);
        assert_eq!(second(version, of(|| hours(0)), of(|| hours(11))), HandshakeKind::Resumed);
        assert_eq!(second(version, of(|| hours(11)), of(|| hours(13))), HandshakeKind::Resumed);
        // Its key is out of use.
        assert_eq!(second(version, of(|| hours(0)), of(|| hours(25))), HandshakeKind::Full);
        let elsewhere = Tickets::new(&OpeningKey::generate(), || hours(0), false);
        assert_eq!(second(version, of(|| hours(0)), elsewhere), HandshakeKind::Full);
        // A session without a client's certificate is not one where the client is asked for it.
        let asks_clients = Tickets::new(&key, || hours(0), true);
        assert_eq!(second(version, of(|| hours(0)), asks_clients), HandshakeKind::Full);
    }
}

#[test]
fn the_server_chooses_the_cipher() {
    let folder = tempfile::tempdir().unwrap();
    let (pair, authority) = write(folder.path(), "default", &["localhost"]);
    let server = sources(pair, Vec::new()).load().unwrap();
    let mut provider = ring::default_provider();
    provider.cipher_suites.reverse();
    let mut roots = RootCertStore::empty();
    roots.add(authority).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connection = connect(&Arc::new(client), &server, "localhost").unwrap();
    let chosen = connection.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(chosen, CipherSuite::TLS13_AES_256_GCM_SHA384);
}

#[test]
fn a_client_may_show_any_certificate_of_a_bounded_size_and_none() {
    let folder = tempfile::tempdir().unwrap();
    let (pair, authority) = write(folder.path(), "default", &["localhost"]);
    let server = Sources { asks_clients: true, ..sources(pair.clone(), Vec::new()) }.load().unwrap();
    let long_names = (0..).map(|number| format!("{number:060}.example"));
    let [small, large] = [1, ClientCertificates::MAX_BYTES / 2 / 68].map(|names| {
        generate_simple_self_signed(long_names.clone().take(names).collect::<Vec<_>>()).unwrap()
    });
    let bytes = large.cert.der().len();
    assert!(
        (ClientCertificates::MAX_BYTES / 2 + 1..ClientCertificates::MAX_BYTES).contains(&bytes),
        "{bytes}"
    );
    let shows = |shown: &CertifiedKey<rcgen::KeyPair>, many: usize, version| {
        let mut config = client(&[&authority], version);
        if many > 0 {
            let key = PrivateKeyDer::try_from(shown.signing_key.serialize_der()).unwrap();
            let chain = vec![shown.cert.der().clone(); many];
            let key = CertifiedKeyOfClient::from_der(chain, key, &ring::default_provider()).unwrap();
            config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(key));
        }
        connect(&Arc::new(config), &server, "localhost").is_ok()
    };
    let most = ClientCertificates::MAX_CHAIN;
    for version in [&TLS12, &TLS13] {
        for (size, shown, many, expected) in [
            ("small", &small, 0, true),
            ("small", &small, most, true),
            ("small", &small, most + 1, false),
            ("large", &large, 1, true),
            ("large", &large, 2, false),
        ] {
            assert_eq!(shows(shown, many, version), expected, "{many} {size} certificates, {version:?}");
        }
    }
}
