//! What a region knows of the configuration: an immutable document per revision, which the relay writes into
//! the region's own KV bucket and gateways serve from, also while the centre is away.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Name;
use crate::document::{self, DocumentError};
use crate::grant::Grants;
use crate::rollout::Trial;
use crate::seal::Sealed;
use crate::source::{HandlerLimits, Intake, OnFault, Scheme};

/// The version of the document.
pub const FORMAT: u32 = 1;

/// A region's configuration at one revision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Counts the changes of the whole configuration.
    pub revision: u64,
    /// Unix time in microseconds at which the centre last confirmed it, for `max_config_age_seconds`.
    pub created_at_us: u64,
    /// The region that this copy is for.
    pub region: Name,
    /// The deployment's number of shards.
    pub shards: u32,
    /// Sources by name.
    pub sources: BTreeMap<Name, Source>,
    /// The handlers that sources bind, by the hex of their component's SHA-256.
    pub handlers: BTreeMap<Digest256, Component>,
}

/// A source, with its secrets sealed to the region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Whose it is.
    pub tenant: Name,
    /// How requests are verified.
    pub scheme: Scheme,
    /// Keys, any of which may have signed; at least one.
    pub secrets: Vec<SealedSecret>,
    /// How old a signed time may be, where the scheme signs one.
    pub tolerance_seconds: Option<u64>,
    /// Keys that handlers may sign or verify with, where a binding grants it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<Name, SealedSecret>,
    /// The chain of handlers, in order.
    pub handlers: Vec<Binding>,
    /// Everything else.
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
    /// Tells it apart in envelopes; random, and says nothing of the secret.
    pub id: String,
    /// The secret, sealed to the region's key.
    pub secret: Sealed,
}

/// A handler in a source's chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// The handler's name.
    pub name: Name,
    /// Its version.
    pub version: u32,
    /// That version's component.
    pub digest: Digest256,
    /// What a failure does.
    pub on_fault: OnFault,
    /// What the handler is given as its parameters: a JSON object.
    pub params: serde_json::Map<String, serde_json::Value>,
    /// What it may ask of the host.
    #[serde(default)]
    pub grants: Grants,
    /// What it may use up; what is absent is the gateway's default.
    #[serde(default)]
    pub limits: HandlerLimits,
    /// Another version that is tried on some of the events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
}

/// What a region must fetch to run a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// The component's size in bytes.
    pub size: u64,
}

/// A SHA-256, written as 64 characters of hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest256([u8; 32]);

impl Digest256 {
    /// Hashes bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// From its 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Display for Digest256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Digest256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Digest256 {
    type Error = InvalidDigest;

    fn try_from(text: String) -> Result<Self, InvalidDigest> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(InvalidDigest);
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| InvalidDigest)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| InvalidDigest)?;
        }
        Ok(Self(bytes))
    }
}

impl From<Digest256> for String {
    fn from(digest: Digest256) -> Self {
        digest.to_string()
    }
}

/// Not a SHA-256 in hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256: expected 64 characters of lower-case hex")]
pub struct InvalidDigest;

impl Snapshot {
    /// Writes the snapshot as it stands in the KV bucket.
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
