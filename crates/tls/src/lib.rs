//! The TLS of the gateway's port: TLS 1.2 and 1.3 by rustls with `ring`, a certificate by the name that a
//! client asks for, session tickets, and ALPN for HTTP/2 and HTTP/1.1.

mod clients;
mod names;
#[cfg(test)]
mod tests;
mod tickets;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use floodgate_listen::HTTP2;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use sha2::{Digest as _, Sha256};

use self::clients::AnyClient;
use self::names::ByName;
pub use self::tickets::{Clock, Tickets};

const HTTP1: &[u8] = b"http/1.1";

/// Why a certificate or its key was refused.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read, or is not PEM of the right kind.
    #[error("expected PEM: {0}")]
    Pem(#[source] pem::Error),
    /// The certificate and the key cannot be used, or do not belong together.
    #[error("{0}")]
    Pair(#[source] rustls::Error),
    /// The certificate is not the default one, and has no DNS name that a client could ask for.
    #[error("expected a certificate with a DNS name")]
    Nameless,
}

impl TlsError {
    /// Returns true if the file was read, so that it must change before it can be used. Otherwise it may be
    /// readable a moment later, after a `chown` for example, which changes neither its time nor its size.
    pub fn is_of_content(&self) -> bool {
        !matches!(self, Self::Pem(pem::Error::Io(_)))
    }
}

/// The file of a certificate or key that was refused.
#[derive(Debug)]
pub struct RefusedFile {
    /// The path of the file.
    pub path: PathBuf,
    /// Why it was refused.
    pub source: TlsError,
}

/// The files of a certificate chain and of its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The PEM file of the certificate and its chain.
    pub certificate: PathBuf,
    /// The PEM file of the private key.
    pub key: PathBuf,
}

/// Where the certificates of a port are, and what its tickets are sealed with.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The certificate for clients that ask for no name, or for one that no certificate has.
    pub default: Pair,
    /// The certificates for their own names.
    pub named: Vec<Pair>,
    /// The tickets by which clients resume their sessions.
    pub tickets: Arc<Tickets>,
    /// True if clients are asked for certificates. They need not have any.
    pub asks_clients: bool,
}

/// When each file was changed last, and its size; nothing for a file that cannot be seen.
pub type Stamps = Vec<Option<(SystemTime, u64)>>;

/// The certificates and keys with which a port answers handshakes.
#[derive(Debug, Clone)]
pub struct ServerIdentity {
    /// The configuration of each handshake.
    pub config: Arc<ServerConfig>,
    /// The SHA-256 of each certificate in hex, that of the default one first.
    pub fingerprints: Vec<String>,
    /// What it was read from.
    pub sources: Sources,
    /// How the files were when they were read.
    pub stamps: Stamps,
}

impl Sources {
    /// Reads all certificate chains and their private keys.
    ///
    /// # Errors
    /// Names the first file that cannot be used.
    pub fn load(self) -> Result<ServerIdentity, RefusedFile> {
        // Before the files are read: a later change must be noticed.
        let stamps = self.stamps();
        let default = self.default.load()?;
        let mut fingerprints = vec![fingerprint(&default)];
        let mut names = ByName::new(default);
        for pair in &self.named {
            let key = pair.load()?;
            fingerprints.push(fingerprint(&key));
            if !names.add(key) {
                return Err(refused(&pair.certificate, TlsError::Nameless));
            }
        }
        let config = server_config(names, &self)
            .map_err(|error| refused(&self.default.certificate, TlsError::Pair(error)))?;
        Ok(ServerIdentity { config, fingerprints, sources: self, stamps })
    }

    /// How the files are now.
    pub fn stamps(&self) -> Stamps {
        let pairs = [&self.default].into_iter().chain(&self.named);
        let files = pairs.flat_map(|pair| [&pair.certificate, &pair.key]);
        let stamp = |file| {
            let metadata = std::fs::metadata(file).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        files.map(stamp).collect()
    }
}

impl Pair {
    fn load(&self) -> Result<CertifiedKey, RefusedFile> {
        let chain: Vec<_> = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect)
            .map_err(|error| refused(&self.certificate, TlsError::Pem(error)))?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| refused(&self.key, TlsError::Pem(error)))?;
        CertifiedKey::from_der(chain, key, &ring::default_provider())
            .map_err(|error| refused(&self.certificate, TlsError::Pair(error)))
    }
}

fn refused(path: &Path, source: TlsError) -> RefusedFile {
    RefusedFile { path: path.to_owned(), source }
}

fn fingerprint(key: &CertifiedKey) -> String {
    key.cert.first().map(|first| hex::encode(Sha256::digest(first))).unwrap_or_default()
}

fn server_config(names: ByName, sources: &Sources) -> Result<Arc<ServerConfig>, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?;
    let builder = match sources.asks_clients {
        true => builder.with_client_cert_verifier(Arc::new(AnyClient::new())),
        false => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(names));
    config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
    // rustls lists the strongest ciphers first, and a client may not.
    config.ignore_client_order = true;
    config.ticketer = Arc::clone(&sources.tickets) as Arc<dyn ProducesTickets>;
    // A session is in its ticket: nothing is kept here that is not counted.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}
