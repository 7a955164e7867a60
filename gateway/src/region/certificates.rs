//! Takes changed certificates and keys into use without a signal.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::{error, info};

use crate::metrics::Metrics;
use floodgate_tls::{RefusedFile, ServerIdentity, Stamps};

/// The certificates of the senders' port, and what is said of their changes.
pub(super) struct Certificates {
    pub(super) tls: watch::Sender<Option<ServerIdentity>>,
    pub(super) metrics: Arc<Metrics>,
}

/// What a look at the files found.
enum Found {
    Same,
    Changed(ServerIdentity),
    Refused(RefusedFile, Stamps),
}

impl Certificates {
    /// Looks at the files at this interval. If they cannot be used, nothing is replaced, and that is said
    /// once for each change.
    pub(super) async fn run(self, interval: Duration) {
        let mut refused = None;
        loop {
            sleep(interval).await;
            let Some(current) = self.tls.borrow().clone() else { return };
            let known = refused.clone();
            let stamps = current.stamps.clone();
            match spawn_blocking(move || look(current, known)).await {
                Ok(Found::Changed(identity)) => self.replace(&stamps, identity),
                Ok(Found::Refused(file, stamps)) => {
                    self.metrics.reloaded("refused");
                    let RefusedFile { path, source } = file;
                    error!(path = %path.display(), error = %source, "certificates changed and cannot be used");
                    refused = Some(stamps);
                }
                // Files that cannot be looked at now are looked at again.
                Ok(Found::Same) | Err(_) => {}
            }
        }
    }

    /// A reload that came in between has read the files as well, and keeps its place.
    fn replace(&self, stamps: &Stamps, identity: ServerIdentity) {
        let certificates = identity.fingerprints.join(",");
        let is_replaced = self.tls.send_if_modified(|held| {
            let is_same = held.as_ref().is_some_and(|held| held.stamps == *stamps);
            if is_same {
                *held = Some(identity);
            }
            is_same
        });
        if is_replaced {
            self.metrics.reloaded("done");
            info!(certificates, "certificates changed, and are in use");
        }
    }
}

fn look(current: ServerIdentity, refused: Option<Stamps>) -> Found {
    let stamps = current.sources.stamps();
    if stamps == current.stamps || refused.as_ref() == Some(&stamps) {
        return Found::Same;
    }
    match current.sources.load() {
        Ok(identity) => Found::Changed(identity),
        Err(file) => Found::Refused(file, stamps),
    }
}
