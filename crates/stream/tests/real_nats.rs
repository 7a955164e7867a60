//! Connections to real nats-servers: who is let in, who is trusted, and what happens when a server goes.

// A harness for tests may stop at the first surprise.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use floodgate_stream::{Connection, Settings};
use floodgate_testkit::nats::{Server, Setup};
use nix::sys::signal::Signal;
use nkeys::KeyPair;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer};

/// Waits for something that must come about; the limit only ends a test that has failed.
async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..600 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited in vain until {what}");
}

async fn connect(settings: &Settings) -> Connection {
    let servers = settings.read(Path::new("")).unwrap();
    Connection::start(&servers, |options| options, |_| ()).await.unwrap()
}

fn server_of(connection: &Connection) -> String {
    connection.client().server_info().server_name
}

/// Two servers that know nothing of each other, and a client of both.
async fn two() -> (Server, Server, Connection) {
    let setup = Setup::default();
    let (first, second) = (setup.clone().start().unwrap(), setup.named("other").start().unwrap());
    let urls = vec![first.url(), second.url()];
    // The second may be up before the first is.
    first.context().await.unwrap();
    second.context().await.unwrap();
    let connection = connect(&Settings { urls: Some(urls), ..Settings::default() }).await;
    until("it is connected", || connection.is_up()).await;
    assert_eq!(server_of(&connection), "n0", "the first is preferred");
    (first, second, connection)
}

#[tokio::test]
async fn another_server_takes_over_when_one_goes_and_back() {
    let (mut first, mut second, connection) = two().await;
    first.kill().unwrap();
    until("the other one took over", || server_of(&connection) == "other" && connection.is_up()).await;
    first.start().unwrap();
    second.kill().unwrap();
    until("the first one is back", || server_of(&connection) == "n0" && connection.is_up()).await;
}

#[tokio::test]
async fn a_server_in_lame_duck_mode_is_left() {
    let (first, _second, connection) = two().await;
    first.signal(Signal::SIGUSR2).unwrap();
    until("the other one took over", || server_of(&connection) == "other" && connection.is_up()).await;
}

/// A server with TLS and a single user, and what is needed to reach it.
struct Secure {
    server: Server,
    folder: tempfile::TempDir,
}

impl Secure {
    /// Its certificate is for `name`.
    fn start(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let authority_key = rcgen::KeyPair::generate().unwrap();
        fs::write(file("ca.pem"), authority.self_signed(&authority_key).unwrap().pem()).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &Issuer::new(authority, authority_key)).unwrap();
        fs::write(file("server.pem"), certificate.pem()).unwrap();
        fs::write(file("server.key"), key.serialize_pem()).unwrap();
        let user = KeyPair::new_user();
        fs::write(file("user.nk"), user.seed().unwrap()).unwrap();
        let setup = Setup::default().tls(&file("server.pem"), &file("server.key"));
        let server = setup.nkey_user("A", &user.public_key()).start().unwrap();
        Self { server, folder }
    }

    fn settings(&self) -> Settings {
        Settings {
            urls: Some(vec![self.server.url()]),
            nkey_file: Some(self.folder.path().join("user.nk")),
            ca_file: Some(self.folder.path().join("ca.pem")),
            ..Settings::default()
        }
    }
}

#[tokio::test]
async fn a_key_and_an_authority_are_enough() {
    let connection = connect(&Secure::start("127.0.0.1").settings()).await;
    drop(connection);
    let secure = Secure::start("127.0.0.1");
    let connection = connect(&secure.settings()).await;
    until("it is connected", || connection.is_up()).await;
}

#[tokio::test]
async fn another_identity_is_shown_from_the_next_connection_on() {
    let (secure, stranger) = (Secure::start("127.0.0.1"), Secure::start("127.0.0.1"));
    let good = secure.settings();
    let other_user = Settings { nkey_file: stranger.settings().nkey_file, ..good.clone() };
    let connection = connect(&other_user).await;
    let servers = good.read(Path::new("")).unwrap();
    connection.check(&servers).unwrap();
    assert!(
        connection.set_identity(&servers) && !connection.set_identity(&servers),
        "the second time it is the same"
    );
    until("it is let in", || connection.is_up()).await;
    let elsewhere = Settings { urls: Some(vec![stranger.server.url()]), ..good.clone() };
    assert!(connection.check(&elsewhere.read(Path::new("")).unwrap()).is_err());
    let nobody = Settings { nkey_file: None, ..good.clone() };
    assert!(connection.check(&nobody.read(Path::new("")).unwrap()).is_err());
}

/// Whether a client of `settings` is let in, by when one of `good` is.
async fn is_let_in(settings: Settings, good: &Settings) -> bool {
    let (connection, other) = (connect(&settings).await, connect(good).await);
    until("the good one is connected", || other.is_up()).await;
    // Each of its attempts is answered at once: three more are as good as any number.
    tokio::time::sleep(Duration::from_secs(1)).await;
    connection.is_up()
}

#[tokio::test]
async fn who_is_not_trusted_is_not_connected_to() {
    let (secure, stranger) = (Secure::start("127.0.0.1"), Secure::start("127.0.0.1"));
    let good = secure.settings();
    let other_authority = Settings { ca_file: stranger.settings().ca_file, ..good.clone() };
    assert!(!is_let_in(other_authority, &good).await, "another authority");
    let other_user = Settings { nkey_file: stranger.settings().nkey_file, ..good.clone() };
    assert!(!is_let_in(other_user, &good).await, "another user");
    assert!(!is_let_in(Settings { ca_file: None, ..good.clone() }, &good).await, "the system's authorities");
    let elsewhere = Secure::start("127.0.0.2");
    assert!(!is_let_in(elsewhere.settings(), &good).await, "a certificate for another address");
    let plain = Setup::default().start().unwrap();
    let without_tls = Settings { urls: Some(vec![plain.url()]), nkey_file: None, ..good.clone() };
    assert!(!is_let_in(without_tls, &good).await, "a server without TLS");
}
