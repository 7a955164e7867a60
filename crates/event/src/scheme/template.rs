//! The generic scheme: where a signature is, how it is made, and what it covers.

use serde::{Deserialize, Serialize};

/// How a signature is made, where a request carries it, and what it signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// The algorithm of the signature.
    pub algorithm: Algorithm,
    /// What the text of a key stands for.
    #[serde(default)]
    pub key: KeyFormat,
    /// The header with the signature. For the form `numbered`, the name without its number.
    pub header: String,
    /// How the header holds the signature.
    #[serde(default)]
    pub form: Form,
    /// How the signature is written.
    #[serde(default)]
    pub encoding: Encoding,
    /// What is signed: text with `{body}`, `{timestamp}`, `{id}`, `{method}` and `{url}`.
    #[serde(default = "Template::body")]
    pub content: String,
    /// Where the signed time is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// The header that `{id}` stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_header: Option<String>,
}

impl Template {
    /// The longest text of a template, in bytes.
    pub const MAX_BYTES: usize = 256;

    /// Returns the template that most providers use: HMAC-SHA256 over the body, in lower-case hex, in this
    /// header.
    pub fn hmac_sha256(header: &str) -> Self {
        Self {
            algorithm: Algorithm::HmacSha256,
            key: KeyFormat::Utf8,
            header: header.to_owned(),
            form: Form::Bare,
            encoding: Encoding::Hex,
            content: Self::body(),
            timestamp: None,
            id_header: None,
        }
    }

    fn body() -> String {
        "{body}".to_owned()
    }
}

/// The algorithms of signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// HMAC with SHA-1, [RFC 2104](https://www.rfc-editor.org/rfc/rfc2104).
    HmacSha1,
    /// HMAC with SHA-256.
    HmacSha256,
    /// HMAC with SHA-384.
    HmacSha384,
    /// HMAC with SHA-512.
    HmacSha512,
    /// Ed25519, [RFC 8032](https://www.rfc-editor.org/rfc/rfc8032).
    Ed25519,
    /// ECDSA on P-256 with SHA-256, the signature in DER.
    EcdsaP256Sha256,
    /// RSA PKCS#1 v1.5 with SHA-256; keys of 2,048 to 8,192 bits.
    RsaSha256,
}

impl Algorithm {
    /// Returns true if whoever can verify can also sign.
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Self::HmacSha1 | Self::HmacSha256 | Self::HmacSha384 | Self::HmacSha512)
    }
}

/// What the text of a key stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum KeyFormat {
    /// The bytes of the text itself.
    #[default]
    Utf8,
    /// Hexadecimal digits. For Ed25519 they are the 32 bytes of the key.
    Hex,
    /// Base64. For ECDSA and RSA it is a `SubjectPublicKeyInfo` in DER.
    Base64,
    /// A `SubjectPublicKeyInfo` in PEM.
    Pem,
}

/// How the header holds the signature.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// The header is the signature.
    #[default]
    Bare,
    /// The signature follows this text.
    Prefix(String),
    /// Pairs such as `t=1700000000,v1=…`.
    Pairs {
        /// The character between two pairs.
        separator: char,
        /// The name of the pairs that are signatures. It may occur several times.
        name: String,
    },
    /// Signatures with spaces between them, each after this text.
    List(String),
    /// Several headers, whose names end in 1, 2, 3 and so on.
    Numbered,
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// Lower-case hexadecimal digits, two for each byte.
    #[default]
    Hex,
    /// Base64 with padding, [RFC 4648](https://www.rfc-editor.org/rfc/rfc4648) section 4.
    Base64,
}

/// Where the signed time is, and in which unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Timestamp {
    /// Where the time is.
    pub at: TimestampAt,
    /// The unit of the time.
    #[serde(default)]
    pub unit: Unit,
}

/// Where the signed time is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum TimestampAt {
    /// In this header.
    Header(String),
    /// In the pair of this name, in the header of the signature.
    Pair(String),
    /// In the body, at this JSON pointer. The body must be signed.
    Json(String),
}

/// The unit of a signed time, which counts from 1970-01-01 00:00 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Seconds since 1970-01-01 00:00 UTC.
    #[default]
    Seconds,
    /// Milliseconds since 1970-01-01 00:00 UTC.
    Milliseconds,
}
