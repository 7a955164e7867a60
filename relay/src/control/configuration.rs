//! The whole configuration of a deployment: one versioned document in the centre's KV bucket, secrets sealed.

mod handler;
mod rollout;

pub(crate) use floodgate_api::document::Budget;
pub(crate) use handler::{Handler, Version};
pub(crate) use rollout::{Concluded, Conclusion, Rollout};

use std::collections::BTreeMap;

use floodgate_event::Name;
use floodgate_event::document::{self, DocumentError};
use floodgate_event::seal::Sealed;
use floodgate_event::source::{Intake, Scheme};
use serde::{Deserialize, Serialize};

use super::document::{Delivery, HandlerDocument};

/// The version of the document.
const FORMAT: u32 = 1;

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
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) keys: BTreeMap<Name, StoredSecret>,
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
    /// The revision from which on it is there. What was matched by an earlier one was for another destination
    /// of the same name, which was deleted. 0 in configurations that were made before this was kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) created: u64,
    /// The revision at which it was last put. An answer of 410 to an attempt from before says nothing of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) put: u64,
    /// When it was disabled because it answered 410; Unix time in microseconds, 0 if that is not why.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) gone_at_us: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
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

impl Configuration {
    /// Writes the document as it stands in the KV bucket.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, DocumentError> {
        document::to_bytes(FORMAT, self)
    }

    /// Reads a document and checks its hash.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, DocumentError> {
        document::from_bytes(FORMAT, bytes)
    }
}
