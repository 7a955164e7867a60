//! The configuration of a deployment: one versioned document in the centre's KV bucket, with secrets sealed.

mod handler;
mod rollout;

pub use floodgate_api::document::Budget;
pub use handler::{Handler, Version};
pub use rollout::{Concluded, Conclusion, Rollout};

use std::collections::BTreeMap;

use floodgate_event::Name;
use floodgate_event::document::{self, DocumentError};
use floodgate_event::scheme::Settings;
use floodgate_event::seal::Sealed;
use floodgate_event::source::Intake;
use serde::{Deserialize, Serialize};

use floodgate_api::document::{Delivery, HandlerDocument};

/// The version of the document.
const FORMAT: u32 = 1;

/// Everything that is configured, at one revision. The content of a revision never changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// The number of this revision. The first is 1, and each change has a higher one.
    pub revision: u64,
    /// The sources that gateways accept webhooks for, by name.
    pub sources: BTreeMap<Name, Source>,
    /// The destinations that events are delivered to, by name.
    pub destinations: BTreeMap<Name, Destination>,
    /// The handlers that sources may bind, by name.
    pub handlers: BTreeMap<Name, Handler>,
}

/// A source as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The tenant that owns it. Its secrets are sealed for this tenant.
    pub tenant: Name,
    /// The signature scheme that verifies its requests.
    pub scheme: Name,
    /// How many seconds a signature's timestamp may be off. `None` is the scheme's default.
    pub tolerance_seconds: Option<u64>,
    /// What else the scheme needs to know.
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub settings: Settings,
    /// The secrets that may sign a request. Any one of them is enough.
    pub secrets: Vec<StoredSecret>,
    /// The keys that its handlers may use, by name.
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
    /// The tenant that owns it. Its secrets are sealed for this tenant.
    pub tenant: Name,
    /// The keys that sign deliveries, the current one first.
    pub secrets: Vec<StoredSecret>,
    /// The address, the subscription and the schedule of deliveries.
    pub delivery: Delivery,
    /// The revision that created it. What was matched by an earlier one was for another destination of the
    /// same name, which was deleted. 0 in configurations from before this was recorded.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub created: u64,
    /// The revision at which it was last put. An answer of 410 to an earlier attempt does not disable it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub put: u64,
    /// When it was disabled because it answered 410. Unix time in microseconds, or 0 if it was not.
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
    /// A random id, by which the API shows the secret.
    pub id: String,
    /// The copy that only the centre can open.
    pub centre: Sealed,
    /// The copy for each region. Empty for the secrets of destinations, which never leave the centre.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub regions: BTreeMap<Name, Sealed>,
}

impl Configuration {
    /// Writes the document as the KV bucket holds it, with a hash.
    ///
    /// # Errors
    /// If the document is larger than a document may be.
    pub fn to_bytes(&self) -> Result<Vec<u8>, DocumentError> {
        document::to_bytes(FORMAT, self)
    }

    /// Reads a document and checks its hash.
    ///
    /// # Errors
    /// If the document is damaged, has unknown fields, or is of another format.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DocumentError> {
        document::from_bytes(FORMAT, bytes)
    }
}
