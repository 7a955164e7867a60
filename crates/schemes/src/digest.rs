//! Signatures and digests. `ring` computes them, because TLS links it already.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use floodgate_event::scheme::{Algorithm, Encoding};
use ring::{hmac, signature};

use crate::header::same;

/// How many signatures of a request are checked against a public key, which takes far longer than a
/// comparison.
const MAX_PUBLIC_SIGNATURES: usize = 8;

/// A key that is ready for use.
pub(crate) enum Key {
    /// A shared key, for HMAC.
    Shared(hmac::Key),
    /// A public key, in the form that `ring` takes.
    Public(signature::UnparsedPublicKey<Vec<u8>>),
}

impl Key {
    /// Makes a key of these bytes. `ring` does not check a public key before it verifies with it.
    pub(crate) fn new(algorithm: Algorithm, bytes: &[u8]) -> Self {
        match algorithm {
            Algorithm::HmacSha1 => Self::Shared(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, bytes)),
            Algorithm::HmacSha256 => Self::Shared(hmac::Key::new(hmac::HMAC_SHA256, bytes)),
            Algorithm::HmacSha384 => Self::Shared(hmac::Key::new(hmac::HMAC_SHA384, bytes)),
            Algorithm::HmacSha512 => Self::Shared(hmac::Key::new(hmac::HMAC_SHA512, bytes)),
            Algorithm::Ed25519 => Self::public(&signature::ED25519, bytes),
            Algorithm::EcdsaP256Sha256 => Self::public(&signature::ECDSA_P256_SHA256_ASN1, bytes),
            Algorithm::RsaSha256 => Self::public(&signature::RSA_PKCS1_2048_8192_SHA256, bytes),
        }
    }

    pub(crate) fn public(algorithm: &'static dyn signature::VerificationAlgorithm, bytes: &[u8]) -> Self {
        Self::Public(signature::UnparsedPublicKey::new(algorithm, bytes.to_vec()))
    }

    /// Returns the HMAC of the parts, one after the other, or `None` for a public key.
    pub(crate) fn sign(&self, parts: &[&[u8]]) -> Option<hmac::Tag> {
        let Self::Shared(key) = self else { return None };
        let mut context = hmac::Context::with_key(key);
        parts.iter().for_each(|part| context.update(part));
        Some(context.sign())
    }

    /// Returns true if the key made one of these signatures of the parts. A shared key signs once, however
    /// many there are, and only the first [`MAX_PUBLIC_SIGNATURES`] are checked against a public key.
    pub(crate) fn made_one<'s>(
        &self,
        parts: &[&[u8]],
        encoding: Encoding,
        mut theirs: impl Iterator<Item = &'s str>,
    ) -> bool {
        match self {
            Self::Shared(_) => self.sign(parts).is_some_and(|tag| {
                let ours = encode(encoding, tag.as_ref());
                theirs.any(|theirs| same(ours.as_bytes(), theirs.as_bytes()))
            }),
            Self::Public(key) => {
                let content = parts.concat();
                theirs.take(MAX_PUBLIC_SIGNATURES).any(|theirs| {
                    let signature = decode(encoding, theirs);
                    signature.is_some_and(|signature| key.verify(&content, &signature).is_ok())
                })
            }
        }
    }
}

/// Encodes bytes: hex in lower case, or base64 with padding.
pub(crate) fn encode(encoding: Encoding, bytes: &[u8]) -> String {
    match encoding {
        Encoding::Hex => {
            let mut text = vec![0; 2 * bytes.len()];
            // The lengths fit, and digits are ASCII. `hex::encode` would push one character after the other.
            let _ = hex::encode_to_slice(bytes, &mut text);
            String::from_utf8(text).unwrap_or_default()
        }
        Encoding::Base64 => BASE64.encode(bytes),
    }
}

/// Decodes only what [`encode`] writes, so that each signature has one form.
pub(crate) fn decode(encoding: Encoding, text: &str) -> Option<Vec<u8>> {
    let bytes = match encoding {
        Encoding::Hex => hex::decode(text).ok(),
        Encoding::Base64 => BASE64.decode(text).ok(),
    }?;
    (encode(encoding, &bytes) == text).then_some(bytes)
}
