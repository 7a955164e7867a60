//! Secrets at rest and on their way: sealed to the public key of whoever may read them, by
//! [RFC 9180](https://www.rfc-editor.org/rfc/rfc9180) (HPKE base mode, X25519,
//! HKDF-SHA256, ChaCha20-Poly1305).
//!
//! A source's secret is sealed to each region and to the centre; a destination's to the centre alone. What it
//! belongs to is bound in as associated data, so that a sealed secret cannot be moved to another object.

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
/// Bytes of the encapsulated key that a sealed secret begins with.
const ENCAPSULATED: usize = 32;

/// Tells keys apart: the first 8 bytes of the public key's SHA-256, in hex.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(String);

/// What a sealed secret belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The object's tenant.
    pub tenant: &'a str,
    /// `source` or `destination`.
    pub kind: &'a str,
    /// The object's name.
    pub name: &'a str,
    /// The field that holds the secret.
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

/// A secret that only one key opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// The key that opens it.
    pub key: KeyId,
    /// Base64 of the encapsulated key and the ciphertext.
    pub sealed: String,
}

/// Whom secrets are sealed to; public, and written as base64 of 32 bytes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SealingKey([u8; 32]);

impl SealingKey {
    /// Tells this key apart.
    pub fn id(&self) -> KeyId {
        let digest = Sha256::digest(self.0);
        KeyId(digest[..8].iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Seals a secret for the holder of the private key.
    ///
    /// # Errors
    /// If this is not a usable X25519 key.
    pub fn seal(&self, secret: &Secret, owner: Owner<'_>) -> Result<Sealed, SealError> {
        let public = Public::from_bytes(&self.0).map_err(|_| SealError::Key)?;
        let (encapsulated, ciphertext) =
            hpke::single_shot_seal::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
                &OpModeS::Base,
                &public,
                INFO,
                secret.expose().as_bytes(),
                &owner.associated_data(),
            )
            .map_err(|_| SealError::Key)?;
        let mut bytes = encapsulated.to_bytes().to_vec();
        bytes.extend_from_slice(&ciphertext);
        Ok(Sealed { key: self.id(), sealed: BASE64.encode(bytes) })
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

/// Opens what was sealed to its public half. A region has one, the centre has one.
#[derive(Clone)]
pub struct OpeningKey {
    private: Private,
    public: SealingKey,
}

impl OpeningKey {
    /// A new key.
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

    /// The private key as text, for a file that only its owner can read.
    pub fn to_text(&self) -> Secret {
        Secret::new(BASE64.encode(Zeroizing::new(self.private.to_bytes().to_vec())))
    }

    /// The public half.
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
        let (encapsulated, ciphertext) = bytes.split_at_checked(ENCAPSULATED).ok_or(SealError::Altered)?;
        let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated)
            .map_err(|_| SealError::Altered)?;
        let clear = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.private,
            &encapsulated,
            INFO,
            ciphertext,
            &owner.associated_data(),
        )
        .map_err(|_| SealError::Altered)?;
        String::from_utf8(clear).map(Secret::new).map_err(|_| SealError::Altered)
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
    /// Not an X25519 key.
    #[error("not an X25519 key: expected base64 of 32 bytes")]
    Key,
    /// Sealed to a key that is not held here.
    #[error("sealed to key {sealed}, and this process holds key {held}")]
    OtherKey {
        /// The key it was sealed to.
        sealed: String,
        /// The key that is held here.
        held: String,
    },
    /// Altered, or moved from another object.
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
