//! Reads certificates and keys again while the gateway runs: all of them, or none.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tracing::{error, info};

use super::key_ring::KeyRing;
use crate::config::{Config, ConfigError};
use crate::metrics::Metrics;
use crate::nats::Connection;
use crate::tls::Offer;

/// What may be replaced.
pub(super) struct Reload {
    /// The gateway's configuration file, which names the others.
    pub(super) path: PathBuf,
    pub(super) tls: watch::Sender<Option<Offer>>,
    pub(super) keys: watch::Sender<KeyRing>,
    pub(super) nats: Connection,
    pub(super) metrics: Arc<Metrics>,
}

impl Reload {
    /// Reads the files whenever it is told to. One that is bad leaves them all as they were.
    pub(super) async fn run(self, mut told: mpsc::Receiver<()>) {
        while told.recv().await.is_some() {
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
        self.nats.link().check(&config.nats)?;
        // From here on nothing can fail.
        let nats_changed = self.nats.link().adopt(&config.nats);
        let key_changed = self.keys.send_if_modified(|keys| keys.take(config.opening_key));
        let certificate = config.tls.as_ref().map(|offer| offer.fingerprint.clone());
        let certificate_changed = self.fingerprint() != certificate;
        self.tls.send_replace(config.tls);
        info!(
            certificate,
            certificate_changed,
            key_changed,
            nats_changed,
            "reloaded certificates and keys; other settings take a restart"
        );
        Ok(())
    }

    fn fingerprint(&self) -> Option<String> {
        self.tls.borrow().as_ref().map(|offer| offer.fingerprint.clone())
    }
}

/// Why nothing was reloaded.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("`plaintext` cannot change while the gateway runs")]
    Plaintext,
    #[error("`nats`: {0}")]
    Nats(#[from] floodgate_stream::NeedsRestart),
    #[error("the files were not read")]
    Task(#[from] tokio::task::JoinError),
}
