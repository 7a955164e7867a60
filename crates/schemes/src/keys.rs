//! The keys of a source: what is made of its secrets and public keys, ready to verify.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use floodgate_event::Secret;
use floodgate_event::scheme::{Algorithm, KeyFormat};

use crate::digest::Key;
use crate::{Failure, InvalidSettings};

/// A secret, and the id by which envelopes name it.
#[derive(Clone, Debug)]
pub struct NamedSecret {
    /// The id. It is random, and says nothing of the secret.
    pub id: String,
    /// The secret in the form in which the provider shows it.
    pub secret: Secret,
}

/// The secrets of a source, in the operator's order. The first one signs.
pub type Secrets = Vec<NamedSecret>;

/// The id of every key that a provider publishes. Such keys change without the operator, so none has an id of
/// its own.
pub(crate) const PUBLISHED: &str = "published";

/// A key that was made of a secret, with the secret's id.
pub(crate) struct Named<K> {
    pub(crate) id: String,
    pub(crate) key: K,
}

/// Makes a key of each secret.
///
/// # Errors
/// If there is no secret, or one is empty or only white space: an unset secret must never verify anything.
pub(crate) fn prepare<K>(
    secrets: &Secrets,
    parse: impl Fn(&str) -> Result<K, InvalidSettings>,
) -> Result<Vec<Named<K>>, InvalidSettings> {
    if secrets.is_empty() {
        return Err(InvalidSettings::NoKey);
    }
    let named = |named: &NamedSecret| match named.secret.expose() {
        text if text.trim().is_empty() => Err(InvalidSettings::EmptySecret),
        text => Ok(Named { id: named.id.clone(), key: parse(text)? }),
    };
    secrets.iter().map(named).collect()
}

/// Parses the text of a key for this algorithm.
pub(crate) fn parse(algorithm: Algorithm, format: KeyFormat, text: &str) -> Result<Key, InvalidSettings> {
    let bytes = match format {
        KeyFormat::Utf8 => text.as_bytes().to_vec(),
        KeyFormat::Hex => hex::decode(text).map_err(|_| InvalidSettings::Key("hexadecimal digits"))?,
        KeyFormat::Base64 => BASE64.decode(text).map_err(|_| InvalidSettings::Key("base64"))?,
        KeyFormat::Pem => pem(text)?,
    };
    let bytes = match algorithm {
        Algorithm::EcdsaP256Sha256 | Algorithm::RsaSha256 => public_key_of(&bytes)?.to_vec(),
        Algorithm::Ed25519 if bytes.len() != 32 => {
            return Err(InvalidSettings::Key("the 32 bytes of Ed25519"));
        }
        _ => bytes,
    };
    if bytes.is_empty() { Err(InvalidSettings::EmptySecret) } else { Ok(Key::new(algorithm, &bytes)) }
}

/// Returns the id of the first key that signed.
pub(crate) fn find<K>(keys: &[Named<K>], signed: impl Fn(&K) -> bool) -> Result<&str, Failure> {
    let found = keys.iter().find(|named| signed(&named.key)).map(|named| named.id.as_str());
    found.ok_or(Failure::NoMatch { keys: keys.len() })
}

/// Returns the bytes of a public key in PEM.
fn pem(text: &str) -> Result<Vec<u8>, InvalidSettings> {
    const WRONG: InvalidSettings = InvalidSettings::Key("a public key in PEM");
    let text = text.trim();
    let inside = text.strip_prefix("-----BEGIN PUBLIC KEY-----").ok_or(WRONG)?;
    let inside = inside.strip_suffix("-----END PUBLIC KEY-----").ok_or(WRONG)?;
    let inside: String = inside.split_ascii_whitespace().collect();
    BASE64.decode(inside).map_err(|_| WRONG)
}

/// Returns the `subjectPublicKey` of a `SubjectPublicKeyInfo` in DER
/// ([RFC 5280](https://www.rfc-editor.org/rfc/rfc5280) section 4.1): a sequence of the algorithm and of a bit
/// string, which is what `ring` takes.
pub(crate) fn public_key_of(der: &[u8]) -> Result<&[u8], InvalidSettings> {
    const WRONG: InvalidSettings = InvalidSettings::Key("a SubjectPublicKeyInfo");
    let (inside, rest) = element(0x30, der).ok_or(WRONG)?;
    let (_algorithm, bits) = element(0x30, inside).ok_or(WRONG)?;
    let (bits, after) = element(0x03, bits).ok_or(WRONG)?;
    let key = bits.strip_prefix(&[0]).filter(|_| rest.is_empty() && after.is_empty());
    key.ok_or(WRONG)
}

/// Returns the content of a DER element that has this tag, and the bytes after the element.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        short @ 0..=0x7f => (usize::from(short), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => (usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])), rest.get(2..)?),
        _ => return None,
    };
    (first == tag).then_some(())?;
    rest.split_at_checked(length)
}
