//! JSON Web Tokens ([RFC 7519](https://www.rfc-editor.org/rfc/rfc7519)), signed with a private key.
//!
//! This crate parses tokens itself. The crate `jsonwebtoken` brings a second cryptography library (or a
//! provider for the whole process) and reads the clock. What else it does is to split a text at two full
//! stops.

mod jwk;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

pub(crate) use self::jwk::{Jwk, set};

/// The longest token, in bytes: as much as most servers accept for all headers together.
pub(crate) const MAX_TOKEN: usize = 8 * 1_024;

/// The algorithms that are accepted. The sender chooses among them, so there is no `none`, which is no
/// signature, and no HMAC, with which anyone could sign by the public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    /// Finds an algorithm by its name in `alg`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

/// A token whose signature nobody has checked yet.
pub(crate) struct Token<'t> {
    /// `None` if the token names an algorithm that is not accepted.
    pub(crate) algorithm: Option<Algorithm>,
    /// The id of the key (`kid`) that signed, as the token says.
    pub(crate) key_id: Option<String>,
    claims: Vec<u8>,
    /// Header and claims as they were signed.
    signed: &'t str,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    /// Extensions that a reader has to understand. This reader knows none, and refuses such a token.
    #[serde(default)]
    crit: Option<IgnoredAny>,
}

impl<'t> Token<'t> {
    /// Parses a token. Returns `None` if the text is too long, or is not a token.
    pub(crate) fn parse(text: &'t str) -> Option<Self> {
        if text.len() > MAX_TOKEN {
            return None;
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&decode(header)?).ok()?;
        if header.crit.is_some() {
            return None;
        }
        Some(Self {
            algorithm: Algorithm::named(&header.alg),
            key_id: header.kid,
            claims: decode(claims)?,
            signed,
            signature: decode(signature)?,
        })
    }

    /// Parses the claims. Returns `None` if they do not have this form. Do not trust them before the
    /// signature is checked.
    pub(crate) fn claims<C: DeserializeOwned>(&self) -> Option<C> {
        serde_json::from_slice(&self.claims).ok()
    }

    /// Returns true if this key signed the token, by the algorithm that the token names.
    pub(crate) fn is_signed_by(&self, key: &Jwk) -> bool {
        self.algorithm == Some(key.algorithm) && key.verify(self.signed.as_bytes(), &self.signature)
    }
}

/// Decodes one part of a token. The alphabet has no full stop, so a token with a fourth part is refused here.
fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64URL.decode(text).ok()
}
