//! Records, in a file, from which streams the ledgers and indexes of this host were folded.

use std::collections::BTreeMap;
use std::path::Path;

use floodgate_stream::central::{Deployment, StreamRecord};

/// The file, in `state_dir`.
const FILE: &str = "streams.json";

/// The streams from which the ledgers and indexes in `state_dir` were folded.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FoldedFrom {
    /// The identity of each stream, by its name.
    identities: BTreeMap<String, String>,
    is_written: bool,
}

impl FoldedFrom {
    /// Reads the file. If it is unreadable, nothing is known: then only the journal's cursors show that a
    /// stream went back.
    pub(super) fn read(state_dir: &Path) -> Self {
        let text = std::fs::read(state_dir.join(FILE)).unwrap_or_default();
        Self { identities: serde_json::from_slice(&text).unwrap_or_default(), is_written: true }
    }

    /// Returns true if the folds are of the stream that the deployment's record has under this name.
    pub(super) fn is(&self, stream: &str, deployment: &Deployment) -> bool {
        let noted = deployment.streams.get(stream).map(StreamRecord::identity);
        noted.is_some() && self.identities.get(stream) == noted.as_ref()
    }

    /// Records that the folds are of the stream with this identity.
    pub(super) fn note(&mut self, stream: &str, identity: String) {
        if self.identities.get(stream) != Some(&identity) {
            self.identities.insert(stream.to_owned(), identity);
            self.is_written = false;
        }
    }

    /// Writes the file, if anything changed.
    pub(super) fn write(&mut self, state_dir: &Path) {
        if self.is_written {
            return;
        }
        let text = serde_json::to_vec(&self.identities).unwrap_or_default();
        let (next, path) = (state_dir.join(format!("{FILE}.new")), state_dir.join(FILE));
        match std::fs::write(&next, text).and_then(|()| std::fs::rename(&next, &path)) {
            Ok(()) => self.is_written = true,
            Err(error) => tracing::warn!(path = %path.display(), %error, "cannot be written"),
        }
    }
}
