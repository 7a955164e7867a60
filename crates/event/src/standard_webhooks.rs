//! Signatures of the [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks)
//! specification, version 1 (HMAC-SHA256). The relay signs deliveries with them. `floodgate-schemes` verifies
//! requests, and uses the headers and [`key_bytes`] of this module.

use std::ops::RangeInclusive;

use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD as BASE64};
use base64::engine::{DecodePaddingMode, Engine as _};
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
const KEY_BYTES: RangeInclusive<usize> = 24..=64;
/// Key lengths that providers use, in bytes. Svix takes up to 75 (`KEY_SIZE_MAX` of
/// [svix-server](https://github.com/svix/svix-webhooks)), and some services use Svix under their own name.
const PROVIDER_KEY_BYTES: RangeInclusive<usize> = 24..=75;
/// Reads base64 with or without padding, as some of the reference libraries do. They also ignore the bits
/// that the last character has over.
const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A symmetric signing key that is ready for use.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    /// Decodes `whsec_` and base64. The prefix may be missing, and the padding may not: the receiver has to
    /// decode the same secret, and not every library reads it without.
    ///
    /// # Errors
    /// If it is not base64, or not 24 to 64 bytes of it.
    pub fn parse(secret: &Secret) -> Result<Self, InvalidKey> {
        let text = without_prefix(secret.expose());
        let bytes = BASE64.decode(text).map(Zeroizing::new).map_err(|_| InvalidKey::Base64)?;
        if !KEY_BYTES.contains(&bytes.len()) {
            return Err(InvalidKey::Length(bytes.len()));
        }
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

/// Decodes the bytes of a provider's key: `whsec_` and base64. The prefix and the padding may be missing. The
/// bytes are wiped when dropped. Returns `None` if the text is not base64, or not 24 to 75 bytes of it.
pub fn key_bytes(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = ANY_PADDING.decode(without_prefix(text)).map(Zeroizing::new).ok()?;
    PROVIDER_KEY_BYTES.contains(&bytes.len()).then_some(bytes)
}

fn without_prefix(text: &str) -> &str {
    text.strip_prefix(PREFIX).unwrap_or(text)
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

    /// `test_signature_verification_with_unpadded_secret` of the reference library for Python has these.
    #[test]
    fn a_providers_key_needs_no_padding() {
        let expected = BASE64.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwBg==").unwrap();
        for text in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwBr", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwBg=="] {
            for text in [text.to_owned(), format!("{PREFIX}{text}")] {
                assert_eq!(key_bytes(&text).as_deref(), Some(&expected), "{text}");
            }
            // The receiver of a delivery may read only the second.
            assert_eq!(Key::parse(&Secret::new(text)).is_ok(), text.ends_with('='), "{text}");
        }
    }

    #[test]
    fn a_providers_key_has_24_to_75_bytes() {
        let of = |length| key_bytes(&BASE64.encode(vec![0; length])).map(|bytes| bytes.len());
        assert_eq!([23, 24, 64, 65, 75, 76].map(of), [None, Some(24), Some(64), Some(65), Some(75), None]);
        assert_eq!(key_bytes("whsec_*"), None);
    }
}
