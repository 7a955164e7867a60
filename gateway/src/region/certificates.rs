//! Takes changed certificates and keys into use without a signal.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::{error, info};

use crate::metrics::Metrics;
use floodgate_tls::{RefusedFile, ServerIdentity, Sources, Stamps};

/// The certificates of the senders' port, and what is said of their changes.
pub(super) struct Certificates {
    pub(super) tls: watch::Sender<Option<ServerIdentity>>,
    pub(super) metrics: Arc<Metrics>,
}

/// What a look at the files found.
enum Found {
    Same,
    Changed(ServerIdentity),
    Refused(RefusedFile, Refused),
}

/// A change that could not be used, and that was said.
#[derive(Clone)]
struct Refused {
    stamps: Stamps,
    /// True if the files were read: only another change can help. A file that could not be read is tried
    /// again, because its permissions may change without its time and its size.
    is_final: bool,
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
            match spawn_blocking(move || look(current, known, Sources::load)).await {
                Ok(Found::Changed(identity)) => self.replace(&stamps, identity),
                Ok(Found::Refused(file, known)) => {
                    self.metrics.reloaded("refused");
                    let RefusedFile { path, source } = file;
                    error!(path = %path.display(), error = %source, "certificates changed and cannot be used");
                    refused = Some(known);
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

/// `load` reads the files.
fn look(
    current: ServerIdentity,
    refused: Option<Refused>,
    load: impl FnOnce(Sources) -> Result<ServerIdentity, RefusedFile>,
) -> Found {
    let stamps = current.sources.stamps();
    let refused = refused.filter(|refused| refused.stamps == stamps);
    if stamps == current.stamps || refused.as_ref().is_some_and(|refused| refused.is_final) {
        return Found::Same;
    }
    match load(current.sources) {
        Ok(identity) => Found::Changed(identity),
        // It was said already that they cannot be read.
        Err(file) if refused.is_some() && !file.source.is_of_content() => Found::Same,
        Err(file) => {
            let is_final = file.source.is_of_content();
            Found::Refused(file, Refused { stamps, is_final })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::SystemTime;

    use floodgate_event::seal::OpeningKey;
    use floodgate_tls::{Pair, Tickets};

    use super::*;

    fn write(folder: &Path) -> Pair {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let pair = Pair { certificate: folder.join("tls.pem"), key: folder.join("tls.key") };
        fs::write(&pair.certificate, made.cert.pem()).unwrap();
        fs::write(&pair.key, made.signing_key.serialize_pem()).unwrap();
        pair
    }

    fn sources(default: Pair) -> Sources {
        let tickets = Arc::new(Tickets::new(&OpeningKey::generate(), SystemTime::now, false));
        Sources { default, named: Vec::new(), tickets, asks_clients: false }
    }

    /// As if the key could not be read. The user of a test may be root, who can read everything.
    fn unreadable(sources: Sources) -> Result<ServerIdentity, RefusedFile> {
        let key = sources.default.key.with_extension("gone");
        Sources { default: Pair { key, ..sources.default }, ..sources }.load()
    }

    /// As if the new certificate had come without its key.
    fn mixed(sources: Sources) -> Result<ServerIdentity, RefusedFile> {
        let key = sources.default.certificate.clone();
        Sources { default: Pair { key, ..sources.default }, ..sources }.load()
    }

    #[test]
    fn files_that_could_not_be_read_are_tried_again_and_said_once() {
        let folder = tempfile::tempdir().unwrap();
        let before = sources(write(folder.path())).load().unwrap();
        let current = || ServerIdentity { stamps: Vec::new(), ..before.clone() };
        let Found::Refused(_, known) = look(current(), None, unreadable) else { panic!("it is said") };
        let again = look(current(), Some(known.clone()), unreadable);
        assert!(matches!(again, Found::Same), "it is not said every 30 seconds");
        let readable = look(current(), Some(known.clone()), Sources::load);
        assert!(matches!(readable, Found::Changed(_)), "as after a chown: neither time nor size changed");
        let bad = look(current(), Some(known), mixed);
        assert!(matches!(bad, Found::Refused(_, Refused { is_final: true, .. })), "another fault is said");
    }

    #[test]
    fn files_whose_content_cannot_be_used_are_read_once_for_each_change() {
        let folder = tempfile::tempdir().unwrap();
        let before = sources(write(folder.path())).load().unwrap();
        let current = || ServerIdentity { stamps: Vec::new(), ..before.clone() };
        let Found::Refused(_, known) = look(current(), None, mixed) else { panic!("it is said") };
        let again = look(current(), Some(known.clone()), |_| panic!("they are not read again"));
        assert!(matches!(again, Found::Same));
        let changed = Refused { stamps: Vec::new(), ..known };
        assert!(matches!(look(current(), Some(changed), Sources::load), Found::Changed(_)));
    }
}
