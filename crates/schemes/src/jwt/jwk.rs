//! JSON Web Keys ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)).

use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{Algorithm, decode};

/// The longest set of keys, in bytes. The sets of the largest issuers, with certificates, take a tenth of
/// that.
const MAX_SET_BYTES: usize = 256 * 1_024;
/// The most keys in a set.
const MAX_KEYS: usize = 100;
/// The byte before a point in its uncompressed form ([SEC 1](https://www.secg.org/sec1-v2.pdf) section
/// 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// A public key that verifies tokens of one algorithm.
pub(crate) struct Jwk {
    pub(crate) id: Option<String>,
    pub(crate) algorithm: Algorithm,
    /// True if the key says that it has expired: Plaid's keys have `expired_at` then.
    pub(crate) has_expired: bool,
    key: Key,
}

enum Key {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    Other(UnparsedPublicKey<Vec<u8>>),
}

#[derive(Deserialize)]
struct Raw {
    kty: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default, rename = "use")]
    used_for: Option<String>,
    #[serde(default)]
    key_ops: Option<Vec<String>>,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
    /// The private part. A key that has one is refused: whoever only verifies must not have it.
    #[serde(default)]
    d: Option<IgnoredAny>,
    #[serde(default)]
    expired_at: Option<IgnoredAny>,
}

/// Parses a set of keys, and leaves out those that are for something else. Returns `None` if the set is too
/// long, or is not a set.
pub(crate) fn set(bytes: &[u8]) -> Option<Vec<Jwk>> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    if bytes.len() > MAX_SET_BYTES {
        return None;
    }
    let set: Set = serde_json::from_slice(bytes).ok()?;
    let is_short = set.keys.len() <= MAX_KEYS;
    is_short.then(|| set.keys.into_iter().filter_map(Jwk::of).collect())
}

impl Jwk {
    /// Parses a key. Returns `None` if the key is not for verifying tokens.
    pub(crate) fn of(value: Value) -> Option<Self> {
        let raw: Raw = serde_json::from_value(value).ok()?;
        let (algorithm, key) = raw.key()?;
        let is_for_it = raw.alg.as_deref().is_none_or(|name| Algorithm::named(name) == Some(algorithm));
        let is_for_signatures = raw.used_for.as_deref().is_none_or(|used_for| used_for == "sig")
            && raw.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if !is_for_it || !is_for_signatures || raw.d.is_some() {
            return None;
        }
        Some(Self { id: raw.kid, algorithm, has_expired: raw.expired_at.is_some(), key })
    }

    /// Returns true if the key made this signature.
    pub(super) fn verify(&self, content: &[u8], signature: &[u8]) -> bool {
        match &self.key {
            Key::Rsa(key) => key.verify(&RSA_PKCS1_2048_8192_SHA256, content, signature).is_ok(),
            Key::Other(key) => key.verify(content, signature).is_ok(),
        }
    }
}

impl Raw {
    fn key(&self) -> Option<(Algorithm, Key)> {
        match (&*self.kty, &*self.crv) {
            ("RSA", _) => {
                let (n, e) = (decode(&self.n)?, decode(&self.e)?);
                Some((Algorithm::Rs256, Key::Rsa(RsaPublicKeyComponents { n: trimmed(n), e: trimmed(e) })))
            }
            ("EC", "P-256") => {
                let point = [vec![UNCOMPRESSED], coordinate(&self.x)?, coordinate(&self.y)?].concat();
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
                Some((Algorithm::Es256, Key::Other(key)))
            }
            ("OKP", "Ed25519") => {
                let key = UnparsedPublicKey::new(&ED25519, coordinate(&self.x)?);
                Some((Algorithm::EdDsa, Key::Other(key)))
            }
            _ => None,
        }
    }
}

/// Decodes a coordinate. Both curves have coordinates of 32 bytes.
fn coordinate(text: &str) -> Option<Vec<u8>> {
    decode(text).filter(|bytes| bytes.len() == 32)
}

/// Removes leading zeros, which some issuers write and `ring` refuses.
fn trimmed(number: Vec<u8>) -> Vec<u8> {
    number.into_iter().skip_while(|&byte| byte == 0).collect()
}
