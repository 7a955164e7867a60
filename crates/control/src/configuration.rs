//! The whole configuration of a deployment: one versioned document in the centre's KV bucket, secrets sealed.

mod handler;
mod rollout;

pub use floodgate_api::document::Budget;
pub use handler::{Handler, Version};
pub use rollout::{Concluded, Conclusion, Rollout};

use std::collections::BTreeMap;

use floodgate_event::Name;
use floodgate_event::document::{self, DocumentError};
use floodgate_event::seal::Sealed;
use floodgate_event::source::{Intake, Scheme};
use serde::{Deserialize, Serialize};

use floodgate_api::document::{Delivery, HandlerDocument};

/// The version of the document.
const FORMAT: u32 = 1;

/// Everything that is configured, at one revision. A revision names one content, for ever.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Counts the changes, from 1.
    pub revision: u64,
    /// Where events come from.
    pub sources: BTreeMap<Name, Source>,
    /// Where events go.
    pub destinations: BTreeMap<Name, Destination>,
    /// The handlers that sources may bind.
    pub handlers: BTreeMap<Name, Handler>,
}

/// A source as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Whose it is.
    pub tenant: Name,
    /// How its requests are verified.
    pub scheme: Scheme,
    /// How far a signature's timestamp may be off; `None` takes the scheme's default.
    pub tolerance_seconds: Option<u64>,
    /// Any of them may have signed a request.
    pub secrets: Vec<StoredSecret>,
    /// Keys that its handlers may use, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<Name, StoredSecret>,
    /// Its handlers, in the order in which they run.
    pub handlers: Vec<HandlerDocument>,
    /// What gateways do with its requests.
    pub intake: Intake,
}

/// A destination as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// Whose it is.
    pub tenant: Name,
    /// Keys that sign deliveries, the current one first.
    pub secrets: Vec<StoredSecret>,
    /// Where and how it is delivered to.
    pub delivery: Delivery,
    /// The revision from which on it is there. What was matched by an earlier one was for another destination
    /// of the same name, which was deleted. 0 in configurations that were made before this was kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub created: u64,
    /// The revision at which it was last put. An answer of 410 to an attempt from before says nothing of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub put: u64,
    /// When it was disabled because it answered 410; Unix time in microseconds, 0 if that is not why.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gone_at_us: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A secret, sealed to each of those who may read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredSecret {
    /// Random; says nothing of the secret.
    pub id: String,
    /// For the centre.
    pub centre: Sealed,
    /// By region; empty for a destination's, which never leave the centre.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub regions: BTreeMap<Name, Sealed>,
}

impl Configuration {
    /// Writes the document as it stands in the KV bucket.
    pub fn to_bytes(&self) -> Result<Vec<u8>, DocumentError> {
        document::to_bytes(FORMAT, self)
    }

    /// Reads a document and checks its hash.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DocumentError> {
        document::from_bytes(FORMAT, bytes)
    }
}
