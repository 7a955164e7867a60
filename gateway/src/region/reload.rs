//! Reads certificates and keys again while the gateway runs: all of them, or none.

use std::path::PathBuf;
use std::sync::Arc;

use floodgate_stream::Connection;
use tokio::sync::{mpsc, watch};
use tracing::{error, info};

use super::key_ring::KeyRing;
use crate::config::{Config, ConfigError};
use crate::metrics::Metrics;
use floodgate_tls::ServerIdentity;

/// The values that a reload replaces.
pub(super) struct Reload {
    /// The gateway's configuration file, which names the others.
    pub(super) path: PathBuf,
    pub(super) tls: watch::Sender<Option<ServerIdentity>>,
    pub(super) keys: watch::Sender<KeyRing>,
    pub(super) nats: Connection,
    pub(super) metrics: Arc<Metrics>,
}

impl Reload {
    /// Reads the files at each request. If one of them is wrong, none is replaced.
    pub(super) async fn run(self, mut requests: mpsc::Receiver<()>) {
        while requests.recv().await.is_some() {
            match self.again().await {
                Ok(()) => self.metrics.reloaded("done"),
                Err(error) => {
                    self.metrics.reloaded("refused");
                    error!(%error, "nothing reloaded: certificates and keys stay as they were");
                }
            }
        }
    }

    async fn again(&self) -> Result<(), ReloadError> {
        let path = self.path.clone();
        let config = tokio::task::spawn_blocking(move || Config::load(&path)).await??;
        if config.tls.is_some() != self.tls.borrow().is_some() {
            return Err(ReloadError::Plaintext);
        }
        if asks_clients(config.tls.as_ref()) != asks_clients(self.tls.borrow().as_ref()) {
            return Err(ReloadError::ClientCertificates);
        }
        self.nats.check(&config.nats)?;
        // From here on nothing can fail.
        let nats_changed = self.nats.set_identity(&config.nats);
        let key_changed = self.keys.send_if_modified(|keys| keys.take(config.opening_key));
        let certificates = config.tls.as_ref().map(|tls| tls.fingerprints.clone());
        let certificate_changed = self.fingerprints() != certificates;
        self.tls.send_replace(config.tls);
        info!(
            certificates = certificates.map(|all| all.join(",")),
            certificate_changed,
            key_changed,
            nats_changed,
            "reloaded certificates and keys; other settings take a restart"
        );
        Ok(())
    }

    fn fingerprints(&self) -> Option<Vec<String>> {
        self.tls.borrow().as_ref().map(|tls| tls.fingerprints.clone())
    }
}

fn asks_clients(tls: Option<&ServerIdentity>) -> bool {
    tls.is_some_and(|tls| tls.sources.asks_clients)
}

/// Why nothing was reloaded.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("`plaintext` cannot change while the gateway runs")]
    Plaintext,
    #[error("`tls.request_client_certificates` cannot change while the gateway runs")]
    ClientCertificates,
    #[error("`nats`: {0}")]
    Nats(#[from] floodgate_stream::NeedsRestart),
    #[error("the files were not read")]
    Task(#[from] tokio::task::JoinError),
}
