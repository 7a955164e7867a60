//! Checks the certificates that NATS servers present. Only nats.conf names their files, so a TLS handshake
//! reads them. It sends no credentials, and accepts any certificate: whether to trust it is the client's
//! decision.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_nats::ServerAddr;
use floodgate_stream::Servers;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::certificate;
use super::finding::Findings;

/// How long a server may take to connect and to present its certificate.
const LIMIT: Duration = Duration::from_secs(5);
/// The most bytes of the line with which a server begins.
const INFO_BYTES: u64 = 64 * 1024;

/// Checks each server that a connection over TLS may use.
pub(super) async fn check(label: &str, servers: &Servers, findings: &mut Findings) {
    for address in servers.addresses() {
        if address.tls_required() || servers.ca_file().is_some() {
            let subject = format!("{label} {}:{}", address.host(), address.port());
            add(subject, presented(address).await, findings);
        }
    }
}

fn add(subject: String, presented: Result<CertificateDer<'static>, String>, findings: &mut Findings) {
    let validity = presented.and_then(|der| certificate::validity(&der).ok_or("no certificate".to_owned()));
    match validity {
        Ok(validity) => {
            let remedy = "renew the server's certificate, then reload nats-server (SIGHUP)";
            certificate::add(subject, validity, remedy, findings);
        }
        Err(error) => {
            findings.unknown("certificate", subject, error, "look at the server, and at the network between")
        }
    }
}

async fn presented(address: &ServerAddr) -> Result<CertificateDer<'static>, String> {
    let certificate = timeout(LIMIT, shake_hands(address)).await;
    certificate.unwrap_or_else(|_| Err(format!("no answer within {} s", LIMIT.as_secs())))
}

/// NATS begins in plain text with one line, `INFO`, and both sides change to TLS after it.
async fn shake_hands(address: &ServerAddr) -> Result<CertificateDer<'static>, String> {
    let text = |error: std::io::Error| error.to_string();
    let stream = TcpStream::connect((address.host(), address.port())).await.map_err(text)?;
    let mut stream = BufReader::new(stream);
    let mut info = Vec::new();
    (&mut stream).take(INFO_BYTES).read_until(b'\n', &mut info).await.map_err(text)?;
    let name = ServerName::try_from(address.host().to_owned()).map_err(|error| error.to_string())?;
    let provider = Arc::new(ring::default_provider());
    let seen = Arc::new(Seen { provider: Arc::clone(&provider), certificate: OnceLock::new() });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&seen) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    match seen.certificate.get() {
        Some(certificate) => Ok(certificate.clone()),
        None => Err(handshake.err().map_or("no certificate".to_owned(), text)),
    }
}

/// Keeps the certificate that the server presents.
#[derive(Debug)]
struct Seen {
    provider: Arc<CryptoProvider>,
    certificate: OnceLock<CertificateDer<'static>>,
}

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.certificate.get_or_init(|| end_entity.clone().into_owned());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use time::OffsetDateTime;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::super::finding::State;
    use super::*;

    /// A server that greets as NATS does, with a certificate that has so many days left.
    async fn server(days: i64) -> ServerAddr {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let now = OffsetDateTime::now_utc();
        params.not_before = now - time::Duration::days(90);
        params.not_after = now + time::Duration::days(days) + time::Duration::hours(1);
        let certificate = params.self_signed(&key).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("tls://{}", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"INFO {\"tls_required\":true}\r\n").await.unwrap();
            let _ = TlsAcceptor::from(Arc::new(config)).accept(stream).await;
        });
        address
    }

    #[tokio::test]
    async fn the_certificate_that_a_server_presents_is_judged() {
        for (days, state) in [(90, State::Ok), (20, State::Warning), (3, State::Wrong), (-3, State::Wrong)] {
            let mut findings = Findings::default();
            add("eu".to_owned(), presented(&server(days).await).await, &mut findings);
            assert_eq!(findings.all()[0].state, state, "{days} days: {findings:?}");
        }
    }

    #[tokio::test]
    async fn a_server_without_tls_is_unknown() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: ServerAddr = format!("tls://{}", listener.local_addr().unwrap()).parse().unwrap();
        drop(listener);
        let mut findings = Findings::default();
        add("eu".to_owned(), presented(&address).await, &mut findings);
        assert_eq!(findings.all()[0].state, State::Unknown, "{findings:?}");
    }
}
