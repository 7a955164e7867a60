//! Signatures of the [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks)
//! specification, version 1 (HMAC-SHA256). The gateway checks them, and the relay makes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::Secret;

/// The header that carries the message's id.
pub const ID_HEADER: &str = "webhook-id";
/// The header that carries the Unix time of the attempt, in seconds.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// The header that carries the signatures: a space-separated list of `v1,<base64>`.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

const PREFIX: &str = "whsec_";
/// Key lengths that the specification allows, in bytes.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A symmetric signing key that is ready for use.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    /// Decodes `whsec_` and base64. The prefix may be missing.
    ///
    /// # Errors
    /// If it is not base64, or not 24 to 64 bytes of it.
    pub fn parse(secret: &Secret) -> Result<Self, InvalidKey> {
        let bytes = key_bytes(secret.expose())?;
        Hmac::new_from_slice(&bytes).map(Self).map_err(|_| InvalidKey::Length(bytes.len()))
    }

    /// Signs a message. Returns `v1,<base64>`.
    pub fn sign(&self, id: &str, timestamp_seconds: u64, body: &[u8]) -> String {
        let timestamp = timestamp_seconds.to_string();
        let tag = self.mac(id.as_bytes(), timestamp.as_bytes(), body).finalize().into_bytes();
        format!("v1,{}", BASE64.encode(tag))
    }

    fn mac(&self, id: &[u8], timestamp: &[u8], body: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in [id, b".", timestamp, b".", body] {
            mac.update(part);
        }
        mac
    }
}

/// Decodes the bytes of a key: `whsec_` and base64. The prefix may be missing. The bytes are wiped when
/// dropped.
///
/// # Errors
/// As [`Key::parse`].
pub fn key_bytes(text: &str) -> Result<Zeroizing<Vec<u8>>, InvalidKey> {
    let bytes = BASE64.decode(text.strip_prefix(PREFIX).unwrap_or(text));
    let bytes = bytes.map(Zeroizing::new).map_err(|_| InvalidKey::Base64)?;
    if KEY_BYTES.contains(&bytes.len()) { Ok(bytes) } else { Err(InvalidKey::Length(bytes.len())) }
}

/// The text is not a Standard Webhooks key. The error says nothing of the key itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// The text after `whsec_` is not base64.
    #[error("a Standard Webhooks secret is `whsec_` followed by base64, and this is not base64")]
    Base64,
    /// The key has this many bytes, and 24 to 64 are allowed.
    #[error("a Standard Webhooks secret holds 24 to 64 bytes, and this one holds {0}")]
    Length(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn signs_as_the_reference_does() {
        let key = Key::parse(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn refuses_keys_that_sign_nothing() {
        for bad in ["", "whsec_", "whsec_AAAA", "whsec_***", &format!("whsec_{}", BASE64.encode([0; 65]))] {
            assert!(Key::parse(&Secret::new(bad)).is_err(), "{bad}");
        }
    }
}
