//! Documents in KV buckets: a JSON text, the version of its format, and the hash of exactly that text.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::Digest256;

/// The most bytes of a document, so that it fits into one NATS message of 8 MiB. A destination takes some 560
/// bytes, and a source some 600 and 150 more for each region, so that 10,000 destinations with a few hundred
/// sources fit.
pub const MAX_BYTES: usize = 7 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<'a> {
    format: u32,
    hash: Digest256,
    #[serde(borrow)]
    content: &'a RawValue,
}

/// Writes a document of version `format`.
///
/// # Errors
/// If it is larger than [`MAX_BYTES`].
pub fn to_bytes(format: u32, content: &impl Serialize) -> Result<Vec<u8>, DocumentError> {
    let text = serde_json::to_string(content)?;
    let hash = Digest256::of(text.as_bytes());
    let content = RawValue::from_string(text)?;
    let bytes = serde_json::to_vec(&Stored { format, hash, content: &content })?;
    if bytes.len() > MAX_BYTES { Err(DocumentError::TooLarge(bytes.len())) } else { Ok(bytes) }
}

/// Reads a document of version `format` and checks its hash.
///
/// # Errors
/// If it is not JSON of this form, of another version, or does not match its hash.
pub fn from_bytes<T: DeserializeOwned>(format: u32, bytes: &[u8]) -> Result<T, DocumentError> {
    let stored: Stored<'_> = serde_json::from_slice(bytes)?;
    if stored.format != format {
        return Err(DocumentError::Format { found: stored.format, expected: format });
    }
    if Digest256::of(stored.content.get().as_bytes()) != stored.hash {
        return Err(DocumentError::Hash);
    }
    Ok(serde_json::from_str(stored.content.get())?)
}

/// Why a document could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The text is not JSON, or not of the expected form.
    #[error("not of the expected form: {0}")]
    Json(#[from] serde_json::Error),
    /// The document was written in another version of its format.
    #[error("format {found}, and this program reads format {expected}")]
    Format {
        /// The version that was found.
        found: u32,
        /// The version that the caller reads.
        expected: u32,
    },
    /// The content does not match its hash: the document was altered or damaged.
    #[error("its content does not match its hash")]
    Hash,
    /// The document has this many bytes, more than [`MAX_BYTES`].
    #[error("{0} bytes, and at most {MAX_BYTES} fit")]
    TooLarge(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn altered_and_foreign_documents_are_refused() {
        let bytes = to_bytes(1, &["a"]).unwrap();
        assert_eq!(from_bytes::<Vec<String>>(1, &bytes).unwrap(), ["a"]);
        let altered = String::from_utf8(bytes.clone()).unwrap().replace("[\"a\"]", "[\"b\"]");
        assert!(matches!(from_bytes::<Vec<String>>(1, altered.as_bytes()), Err(DocumentError::Hash)));
        let newer = from_bytes::<Vec<String>>(2, &bytes);
        assert!(matches!(newer, Err(DocumentError::Format { found: 1, expected: 2 })));
        let large = "x".repeat(MAX_BYTES);
        assert!(matches!(to_bytes(1, &large), Err(DocumentError::TooLarge(_))));
    }
}
