//! TLS 1.2 and 1.3 by rustls with `ring`, offering HTTP/2 and HTTP/1.1.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use floodgate_listen::HTTP2;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use sha2::{Digest as _, Sha256};

const HTTP1: &[u8] = b"http/1.1";

/// Why a certificate or its key was refused.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Not readable, or not PEM of what it should be.
    #[error("expected PEM: {0}")]
    Pem(#[source] pem::Error),
    /// Not usable, or not a pair.
    #[error("{0}")]
    Pair(#[source] rustls::Error),
}

/// A certificate's or key's file that was refused.
#[derive(Debug)]
pub(crate) struct RefusedFile {
    pub(crate) path: PathBuf,
    pub(crate) source: TlsError,
}

/// What a port offers to those who connect.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    /// For each handshake.
    pub(crate) config: Arc<ServerConfig>,
    /// The certificate's SHA-256, in hex.
    pub(crate) fingerprint: String,
}

/// Reads a certificate chain and its private key.
pub(crate) fn load(certificate_file: &Path, key_file: &Path) -> Result<Offer, RefusedFile> {
    let refused = |path: &Path| {
        let path = path.to_owned();
        move |error| RefusedFile { path, source: TlsError::Pem(error) }
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate_file)
        .and_then(Iterator::collect)
        .map_err(refused(certificate_file))?;
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(refused(key_file))?;
    let fingerprint = chain.first().map(|first| hex::encode(Sha256::digest(first))).unwrap_or_default();
    let config = server_config(chain, key)
        .map_err(|error| RefusedFile { path: certificate_file.to_owned(), source: TlsError::Pair(error) })?;
    Ok(Offer { config, fingerprint })
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
    Ok(Arc::new(config))
}
