//! The whole configuration of a deployment: one versioned document in the centre's KV bucket, secrets sealed.

mod handler;

pub(crate) use handler::{Handler, Version};

use std::collections::BTreeMap;

use floodgate_event::Name;
use floodgate_event::seal::Sealed;
use floodgate_event::snapshot::Digest256;
use floodgate_event::source::{Intake, Scheme};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::document::HandlerDocument;
use super::document::destination::Delivery;

/// The version of the document.
const FORMAT: u32 = 1;

/// The most bytes of the document: what fits one NATS message of 8 MiB with room to spare.
pub(crate) const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Everything that is configured, at one revision. A revision names one content, for ever.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Configuration {
    /// Counts the changes, from 1.
    pub(crate) revision: u64,
    pub(crate) sources: BTreeMap<Name, Source>,
    pub(crate) destinations: BTreeMap<Name, Destination>,
    pub(crate) handlers: BTreeMap<Name, Handler>,
}

/// A source as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    pub(crate) tenant: Name,
    pub(crate) scheme: Scheme,
    pub(crate) tolerance_seconds: Option<u64>,
    pub(crate) secrets: Vec<StoredSecret>,
    pub(crate) handlers: Vec<HandlerDocument>,
    pub(crate) intake: Intake,
}

/// A destination as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Destination {
    pub(crate) tenant: Name,
    pub(crate) secrets: Vec<StoredSecret>,
    pub(crate) delivery: Delivery,
}

/// A secret, sealed to each of those who may read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredSecret {
    /// Random; says nothing of the secret.
    pub(crate) id: String,
    pub(crate) centre: Sealed,
    /// By region; empty for a destination's, which never leave the centre.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) regions: BTreeMap<Name, Sealed>,
}

/// What stands in the KV bucket: the document's text and the hash of exactly that text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<'a> {
    format: u32,
    hash: Digest256,
    #[serde(borrow)]
    content: &'a RawValue,
}

impl Configuration {
    /// Writes the document as it stands in the KV bucket.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, FormatError> {
        let text = serde_json::to_string(self).map_err(FormatError::Json)?;
        let hash = Digest256::of(text.as_bytes());
        let content = RawValue::from_string(text).map_err(FormatError::Json)?;
        let stored = Stored { format: FORMAT, hash, content: &content };
        let bytes = serde_json::to_vec(&stored).map_err(FormatError::Json)?;
        if bytes.len() > MAX_BYTES { Err(FormatError::TooLarge(bytes.len())) } else { Ok(bytes) }
    }

    /// Reads a document and checks its hash.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let stored: Stored<'_> = serde_json::from_slice(bytes).map_err(FormatError::Json)?;
        if stored.format != FORMAT {
            return Err(FormatError::Version(stored.format));
        }
        if Digest256::of(stored.content.get().as_bytes()) != stored.hash {
            return Err(FormatError::Hash);
        }
        serde_json::from_str(stored.content.get()).map_err(FormatError::Json)
    }
}

/// Why the stored configuration could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// Not the expected JSON.
    #[error("configuration: not of the expected form")]
    Json(#[source] serde_json::Error),
    /// Another version.
    #[error("configuration: format {0}, and this program reads format {FORMAT}")]
    Version(u32),
    /// Altered.
    #[error("configuration: its content does not match its hash")]
    Hash,
    /// Too large.
    #[error("configuration: {0} bytes with this change, and at most {MAX_BYTES} fit")]
    TooLarge(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn altered_and_foreign_documents_are_refused() {
        let configuration = Configuration { revision: 7, ..Configuration::default() };
        let bytes = configuration.to_bytes().unwrap();
        assert_eq!(Configuration::from_bytes(&bytes).unwrap(), configuration);
        let text = String::from_utf8(bytes).unwrap();
        let altered = text.replace("\"revision\":7", "\"revision\":8");
        assert!(matches!(Configuration::from_bytes(altered.as_bytes()), Err(FormatError::Hash)));
        let newer = text.replace("\"format\":1", "\"format\":2");
        assert!(matches!(Configuration::from_bytes(newer.as_bytes()), Err(FormatError::Version(2))));
    }
}
