//! Event ids: 16 bytes that are also the dedup key, so that every region answers with the same id for the
//! same event and a copy that slipped through would keep its `webhook-id`.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use ulid::Ulid;

use crate::proto::KeyKind;

const PREFIX: &str = "evt_";

/// Identifies an event: the first 16 bytes of a SHA-256 over tenant, source and key, or a ULID where the
/// source asks for no dedup.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(value_type = String, pattern = "^evt_[0-9a-z]{26}$", description = "An event's id."))]
pub struct EventId([u8; 16]);

impl EventId {
    /// Derives the id from a provider's id that the signature covers. It may have any length.
    pub fn from_provider_id(tenant: &str, source: &str, provider_id: &str) -> Self {
        Self::derive(b"v1/id", &[tenant.as_bytes(), source.as_bytes(), provider_id.as_bytes()])
    }

    /// Derives the id from the SHA-256 of the raw body.
    pub fn from_body(tenant: &str, source: &str, body: &BodyHash) -> Self {
        Self::derive(b"v1/body", &[tenant.as_bytes(), source.as_bytes(), &body.0])
    }

    /// From the SHA-256 of the raw body and an event type that the signature does not cover: providers send
    /// one body under two types. `event_type` is the header's value, byte for byte, so that two that cannot
    /// be read are still two.
    pub fn from_typed_body(tenant: &str, source: &str, body: &BodyHash, event_type: &[u8]) -> Self {
        Self::derive(b"v2/body", &[tenant.as_bytes(), source.as_bytes(), &body.0, event_type])
    }

    /// Derives the id from a provider's id that the signature does not cover.
    pub fn from_delivery(tenant: &str, source: &str, delivery: &str) -> Self {
        Self::derive(b"v1/delivery", &[tenant.as_bytes(), source.as_bytes(), delivery.as_bytes()])
    }

    /// Derives the id of the `ordinal`-th child, from 0, that the handler with this digest split from
    /// `parent`.
    pub fn child(parent: Self, ordinal: u32, handler_digest: &[u8]) -> Self {
        Self::derive(b"v1/child", &[&parent.0, &ordinal.to_be_bytes(), handler_digest])
    }

    /// Makes a new id, for a source that does not deduplicate.
    pub fn unique() -> Self {
        Self(Ulid::generate().to_bytes())
    }

    /// Returns the 16 bytes that the formats carry.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Each field is preceded by its length, so that no two field lists hash alike; the label keeps kinds
    /// apart and carries the version of the derivation.
    fn derive(label: &[u8], fields: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"floodgate/event/");
        hash.update(label);
        for field in fields {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        Self(first_half(&hash.finalize()))
    }
}

impl From<[u8; 16]> for EventId {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl TryFrom<&[u8]> for EventId {
    type Error = InvalidEventId;

    fn try_from(bytes: &[u8]) -> Result<Self, InvalidEventId> {
        bytes.try_into().map(Self).map_err(|_| InvalidEventId)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; ulid::ULID_LEN];
        let digits = Ulid::from_bytes(self.0).array_to_str(&mut digits);
        digits.make_ascii_lowercase();
        f.write_str(PREFIX)?;
        f.write_str(digits)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for EventId {
    type Err = InvalidEventId;

    fn from_str(text: &str) -> Result<Self, InvalidEventId> {
        let digits = text.strip_prefix(PREFIX).ok_or(InvalidEventId)?;
        let id = Ulid::from_string(&digits.to_ascii_uppercase()).map_err(|_| InvalidEventId)?;
        Ok(Self(id.to_bytes()))
    }
}

/// Not an event id: those are `evt_` and 26 characters of Crockford base32, or 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an event id: expected `evt_` and 26 characters of Crockford base32")]
pub struct InvalidEventId;

/// The first 16 bytes of the SHA-256 of a raw body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BodyHash([u8; 16]);

impl BodyHash {
    /// Computes the hash of a raw body.
    pub fn of(body: &[u8]) -> Self {
        Self(first_half(&Sha256::digest(body)))
    }

    /// Returns the 16 bytes that the formats carry.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// What an event's id is derived from, together with the id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The event's id and dedup key.
    pub id: EventId,
    /// What it was derived from.
    pub kind: KeyKind,
}

fn first_half(digest: &[u8]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivations_are_pinned() {
        let body = BodyHash::of(b"{}");
        let parent = EventId::from_provider_id("default", "stripe", "evt_1");
        let ids = [
            parent.to_string(),
            EventId::from_body("default", "github", &body).to_string(),
            EventId::child(parent, 0, &[7; 32]).to_string(),
            EventId::from_provider_id("default", "stripe", &"x".repeat(30_000)).to_string(),
            EventId::from_typed_body("default", "github", &body, b"push").to_string(),
            EventId::from_delivery("default", "github", "72d3162e-cc78-11e3-81ab-4c9367dc0958").to_string(),
        ];
        insta::assert_debug_snapshot!(ids);
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        assert_ne!(EventId::from_provider_id("a", "bc", "d"), EventId::from_provider_id("ab", "c", "d"));
        assert_ne!(EventId::from_provider_id("a", "b", "cd"), EventId::from_provider_id("a", "bc", "d"));
    }

    proptest::proptest! {
        #[test]
        fn text_form_round_trips(bytes: [u8; 16]) {
            let id = EventId::from(bytes);
            proptest::prop_assert_eq!(id.to_string().parse::<EventId>(), Ok(id));
        }

        #[test]
        fn parsing_never_panics(text: String) {
            let _ = text.parse::<EventId>();
        }
    }
}
