//! The part of the configuration that a region has: an immutable document for each revision. The relay writes
//! it into the region's own KV bucket, so that gateways can serve from it while the centre is away.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::document::{self, DocumentError};
use crate::grant::Grants;
use crate::rollout::Trial;
use crate::scheme::Settings;
use crate::seal::Sealed;
use crate::source::{HandlerLimits, Intake, OnFault};
use crate::{Digest256, Name, ShardCount};

/// The version of the document.
pub const FORMAT: u32 = 1;

/// A region's configuration at one revision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// The revision of the configuration: it counts all changes since the beginning.
    pub revision: u64,
    /// When the centre last confirmed the snapshot, as Unix time in microseconds. `max_config_age_seconds`
    /// counts from it.
    pub created_at_us: u64,
    /// The region that this copy is for.
    pub region: Name,
    /// The deployment's number of shards.
    pub shards: ShardCount,
    /// The sources that the region serves, by name.
    pub sources: BTreeMap<Name, Source>,
    /// The handlers that sources bind, by the hex of their component's SHA-256.
    pub handlers: BTreeMap<Digest256, Component>,
}

/// A source, with its secrets sealed to the region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The tenant that the source belongs to.
    pub tenant: Name,
    /// The signature scheme that requests are verified by.
    pub scheme: Name,
    /// The keys that may have signed a request; two during a rotation, and none for a scheme that has no
    /// shared keys.
    pub secrets: Vec<SealedSecret>,
    /// How old a signed time may be, if the scheme signs one.
    pub tolerance_seconds: Option<u64>,
    /// What else the scheme needs to know.
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub settings: Settings,
    /// The keys that handlers may sign or verify with, if a binding grants it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<Name, SealedSecret>,
    /// The chain of handlers, in order.
    pub handlers: Vec<Binding>,
    /// The settings apart from secrets and handlers.
    pub intake: Intake,
}

/// The field that the secrets of [`Source::secrets`] are sealed for.
pub const SECRETS: &str = "secrets";

/// The field that a key of [`Source::keys`] is sealed for.
pub fn key_field(key: &Name) -> String {
    format!("keys/{key}")
}

/// One of a source's secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedSecret {
    /// The id that envelopes name the secret by. It is random and reveals nothing of the secret.
    pub id: String,
    /// The secret, sealed to the region's key.
    pub secret: Sealed,
}

/// A handler in a source's chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// The name of the handler.
    pub name: Name,
    /// The version of the handler, from 1.
    pub version: u32,
    /// The SHA-256 of that version's component.
    pub digest: Digest256,
    /// What happens to an event that the handler fails on.
    pub on_fault: OnFault,
    /// The handler's parameters: a JSON object.
    pub params: serde_json::Map<String, serde_json::Value>,
    /// What the handler may ask the host for.
    #[serde(default)]
    pub grants: Grants,
    /// What the handler may use up. A limit that is absent is the gateway's default.
    #[serde(default)]
    pub limits: HandlerLimits,
    /// Another version, on trial for some of the events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
}

/// What a region must know to fetch a handler's component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// The component's size in bytes.
    pub size: u64,
}

impl Snapshot {
    /// Writes the snapshot in the form that the KV bucket holds.
    ///
    /// # Errors
    /// If it is larger than a [`document`] may be.
    pub fn to_bytes(&self) -> Result<Vec<u8>, SnapshotError> {
        Ok(document::to_bytes(FORMAT, self)?)
    }

    /// Reads a snapshot and checks its hash.
    ///
    /// # Errors
    /// If it is not JSON of this form, of another version, or does not match its hash.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SnapshotError> {
        Ok(document::from_bytes(FORMAT, bytes)?)
    }
}

/// Why a snapshot could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("snapshot: {0}")]
pub struct SnapshotError(#[from] DocumentError);

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        let text = r#"{
            "revision": 7, "created_at_us": 1, "region": "eu", "shards": 1,
            "sources": {"stripe": {
                "tenant": "default", "scheme": "stripe", "tolerance_seconds": 300,
                "secrets": [{"id": "sec_1", "secret": {"key": "00", "sealed": "AA=="}}],
                "handlers": [{"name": "redact", "version": 3, "on_fault": "quarantine", "params": {"a": 1},
                    "grants": {"log": false, "counters": ["blanked"], "sign": ["partner"]},
                    "limits": {"deadline_ms": 20},
                    "trial": {"id": 6, "kind": "canary", "version": 4, "share": 12.5,
                        "digest": "0000000000000000000000000000000000000000000000000000000000000000"},
                    "digest": "0000000000000000000000000000000000000000000000000000000000000000"}],
                "keys": {"partner": {"id": "sec_2", "secret": {"key": "00", "sealed": "AA=="}}},
                "intake": {"lanes": {"payment_intent.succeeded": "critical"}, "raw": "drop"}
            }},
            "handlers": {"0000000000000000000000000000000000000000000000000000000000000000": {"size": 9}}
        }"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn form_is_pinned() {
        let bytes = snapshot().to_bytes().unwrap();
        insta::assert_snapshot!(String::from_utf8(bytes.clone()).unwrap());
        assert_eq!(Snapshot::from_bytes(&bytes).unwrap(), snapshot());
    }
}
