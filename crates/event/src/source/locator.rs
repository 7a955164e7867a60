//! Where a value is in a request.

use serde::{Deserialize, Serialize};

/// Where a value is in a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawLocator", into = "RawLocator")]
pub enum Locator {
    /// A JSON pointer ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)) into the body;
    /// strings and numbers count.
    Json(String),
    /// A header, by its lower-case name.
    Header(String),
}

impl Locator {
    /// The longest pointer or name, in bytes.
    pub const MAX_BYTES: usize = 256;

    /// Returns the length of the pointer or name in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Json(text) | Self::Header(text) => text.len(),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawLocator {
    Json(String),
    Header(String),
}

impl TryFrom<RawLocator> for Locator {
    type Error = InvalidLocator;

    fn try_from(raw: RawLocator) -> Result<Self, InvalidLocator> {
        match raw {
            RawLocator::Json(pointer) if pointer.is_empty() || pointer.starts_with('/') => {
                Ok(Self::Json(pointer))
            }
            RawLocator::Json(pointer) => Err(InvalidLocator::Pointer(pointer)),
            RawLocator::Header(name) => match http::HeaderName::from_bytes(name.as_bytes()) {
                Ok(name) => Ok(Self::Header(name.as_str().to_owned())),
                Err(_) => Err(InvalidLocator::Header(name)),
            },
        }
    }
}

impl From<Locator> for RawLocator {
    fn from(locator: Locator) -> Self {
        match locator {
            Locator::Json(pointer) => Self::Json(pointer),
            Locator::Header(name) => Self::Header(name),
        }
    }
}

/// Why a locator is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLocator {
    /// The text is not a JSON pointer of RFC 6901.
    #[error("`{0}` is not a JSON pointer: expected it to begin with `/`")]
    Pointer(String),
    /// The text is not the name of a header.
    #[error("`{0}` is not a header name")]
    Header(String),
}
