//! Seals secrets, on disk and in transit, to the public key of the process that may read them, by [RFC
//! 9180](https://www.rfc-editor.org/rfc/rfc9180) (HPKE base mode, X25519, HKDF-SHA256, ChaCha20-Poly1305).
//!
//! A source's secret is sealed to each region and to the centre, and a destination's to the centre alone. The
//! object that a secret belongs to is bound in as associated data, so that a sealed secret cannot be moved to
//! another object.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::Secret;

type Private = <X25519HkdfSha256 as Kem>::PrivateKey;
type Public = <X25519HkdfSha256 as Kem>::PublicKey;

const INFO: &[u8] = b"floodgate/seal/v1";
/// The number of bytes of the encapsulated key that a sealed secret begins with.
const ENCAPSULATED: usize = 32;

/// Identifies a key: the first 8 bytes of the public key's SHA-256, in hex.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(String);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The object that a sealed secret belongs to. It is bound into the seal, which opens for no other object.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The tenant of the object.
    pub tenant: &'a str,
    /// The kind of the object: `source` or `destination`.
    pub kind: &'a str,
    /// The name of the object.
    pub name: &'a str,
    /// The field of the object that holds the secret.
    pub field: &'a str,
}

impl Owner<'_> {
    fn associated_data(&self) -> Vec<u8> {
        let mut data = Vec::new();
        for part in [self.tenant, self.kind, self.name, self.field] {
            data.extend_from_slice(&(part.len() as u64).to_be_bytes());
            data.extend_from_slice(part.as_bytes());
        }
        data
    }
}

/// A secret that only the holder of one private key can open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// The id of the key that opens it.
    pub key: KeyId,
    /// Base64 of the encapsulated key and the ciphertext.
    pub sealed: String,
}

/// The public key that secrets are sealed to, written as base64 of 32 bytes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SealingKey([u8; 32]);

impl SealingKey {
    /// Returns the id of this key.
    pub fn id(&self) -> KeyId {
        let digest = Sha256::digest(self.0);
        KeyId(digest[..8].iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Seals a secret for the holder of the private key.
    ///
    /// # Errors
    /// If this is not a usable X25519 key.
    pub fn seal(&self, secret: &Secret, owner: Owner<'_>) -> Result<Sealed, SealError> {
        let bytes = self.seal_bytes(secret.expose().as_bytes(), owner)?;
        Ok(Sealed { key: self.id(), sealed: BASE64.encode(bytes) })
    }

    /// Seals bytes for the holder of the private key. Returns the encapsulated key and the ciphertext.
    ///
    /// # Errors
    /// If this is not a usable X25519 key.
    pub fn seal_bytes(&self, clear: &[u8], owner: Owner<'_>) -> Result<Vec<u8>, SealError> {
        let public = Public::from_bytes(&self.0).map_err(|_| SealError::Key)?;
        let (encapsulated, ciphertext) = hpke::single_shot_seal::<
            ChaCha20Poly1305,
            HkdfSha256,
            X25519HkdfSha256,
        >(
            &OpModeS::Base, &public, INFO, clear, &owner.associated_data()
        )
        .map_err(|_| SealError::Key)?;
        let mut bytes = encapsulated.to_bytes().to_vec();
        bytes.extend_from_slice(&ciphertext);
        Ok(bytes)
    }
}

impl TryFrom<String> for SealingKey {
    type Error = SealError;

    fn try_from(text: String) -> Result<Self, SealError> {
        let bytes = BASE64.decode(text.trim()).map_err(|_| SealError::Key)?;
        Ok(Self(bytes.try_into().map_err(|_| SealError::Key)?))
    }
}

impl From<SealingKey> for String {
    fn from(key: SealingKey) -> Self {
        BASE64.encode(key.0)
    }
}

impl fmt::Display for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(self.0))
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({})", self.id().0)
    }
}

/// The private key that opens what was sealed to its public half. Each region has one, and so has the centre.
#[derive(Clone)]
pub struct OpeningKey {
    private: Private,
    public: SealingKey,
}

impl OpeningKey {
    /// Generates a key from the system's random numbers.
    pub fn generate() -> Self {
        let (private, public) = X25519HkdfSha256::gen_keypair();
        Self { private, public: SealingKey(public.to_bytes().into()) }
    }

    /// Reads what [`Self::to_text`] wrote: base64 of 32 bytes.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn parse(text: &Secret) -> Result<Self, SealError> {
        let bytes = Zeroizing::new(BASE64.decode(text.expose().trim()).map_err(|_| SealError::Key)?);
        let private = Private::from_bytes(&bytes).map_err(|_| SealError::Key)?;
        let public = SealingKey(X25519HkdfSha256::sk_to_pk(&private).to_bytes().into());
        Ok(Self { private, public })
    }

    /// Returns the private key as text, for a file that only its owner can read.
    pub fn to_text(&self) -> Secret {
        Secret::new(BASE64.encode(Zeroizing::new(self.private.to_bytes().to_vec())))
    }

    /// Returns the public half of the key, to which secrets are sealed.
    pub fn sealing_key(&self) -> &SealingKey {
        &self.public
    }

    /// Opens a sealed secret of `owner`.
    ///
    /// # Errors
    /// If it was sealed to another key or for another owner, or was altered.
    pub fn open(&self, sealed: &Sealed, owner: Owner<'_>) -> Result<Secret, SealError> {
        if sealed.key != self.public.id() {
            return Err(SealError::OtherKey { sealed: sealed.key.0.clone(), held: self.public.id().0 });
        }
        let bytes = BASE64.decode(&sealed.sealed).map_err(|_| SealError::Altered)?;
        let clear = self.open_bytes(&bytes, owner)?;
        String::from_utf8(clear).map(Secret::new).map_err(|_| SealError::Altered)
    }

    /// Opens what [`SealingKey::seal_bytes`] made for `owner`.
    ///
    /// # Errors
    /// If it was sealed to another key or for another owner, or was altered.
    pub fn open_bytes(&self, sealed: &[u8], owner: Owner<'_>) -> Result<Vec<u8>, SealError> {
        let (encapsulated, ciphertext) = sealed.split_at_checked(ENCAPSULATED).ok_or(SealError::Altered)?;
        let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated)
            .map_err(|_| SealError::Altered)?;
        hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.private,
            &encapsulated,
            INFO,
            ciphertext,
            &owner.associated_data(),
        )
        .map_err(|_| SealError::Altered)
    }
}

impl fmt::Debug for OpeningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpeningKey({})", self.public.id().0)
    }
}

/// Why a secret could not be sealed or opened. Says nothing of the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The text or bytes are not an X25519 key.
    #[error("not an X25519 key: expected base64 of 32 bytes")]
    Key,
    /// The secret was sealed to another key than this one.
    #[error("sealed to key {sealed}, and this process holds key {held}")]
    OtherKey {
        /// The key it was sealed to.
        sealed: String,
        /// The key that is held here.
        held: String,
    },
    /// The sealed text was altered, or it belongs to another object.
    #[error("the sealed secret was altered, or belongs to another object")]
    Altered,
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Owner<'_> = Owner { tenant: "default", kind: "source", name: "stripe", field: "secrets" };

    #[test]
    fn opens_what_was_sealed_to_it() {
        let key = OpeningKey::generate();
        let sealed = key.sealing_key().seal(&Secret::new("whsec_x"), OWNER).unwrap();
        let reread = OpeningKey::parse(&key.to_text()).unwrap();
        assert_eq!(reread.open(&sealed, OWNER).unwrap().expose(), "whsec_x");
    }

    #[test]
    fn refuses_another_owner_another_key_and_altered_text() {
        let key = OpeningKey::generate();
        let sealed = key.sealing_key().seal(&Secret::new("whsec_x"), OWNER).unwrap();
        let moved = Owner { name: "other", ..OWNER };
        assert_eq!(key.open(&sealed, moved), Err(SealError::Altered));
        assert!(matches!(OpeningKey::generate().open(&sealed, OWNER), Err(SealError::OtherKey { .. })));
        let cut = Sealed { sealed: sealed.sealed[..20].to_owned(), ..sealed };
        assert_eq!(key.open(&cut, OWNER), Err(SealError::Altered));
    }

    #[test]
    fn nothing_prints_a_secret() {
        let key = OpeningKey::generate();
        let text = key.to_text();
        assert!(!format!("{key:?} {text:?}").contains(text.expose()));
    }
}
