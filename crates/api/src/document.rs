//! The documents that an operator writes for the admin API and for `floodgate apply`. They are read strictly.

mod destination;
mod field;
mod plain;
mod rollout;
mod source;
mod verify;

pub use destination::{Delivery, DestinationDocument, RetryDocument};
pub use rollout::{Budget, CanaryDocument, PromotionDocument, RollbackDocument, ShadowDocument};
pub use source::{HandlerDocument, SourceDocument};
pub use verify::VerifyDocument;

use serde::de::{Deserializer, Error as _, IgnoredAny};
use serde::{Deserialize, Serialize};

/// A document with checks that its types cannot express.
pub trait Document: for<'de> Deserialize<'de> {
    /// Checks the fields against each other, so that later code need not.
    ///
    /// # Errors
    /// Names the first field that is wrong.
    fn check(&self) -> Result<(), Invalid>;
}

/// Reads a document from any format that serde knows, and checks it.
///
/// # Errors
/// Names the field by its path, what was found there, and what is allowed.
pub fn read<'de, T: Document>(from: impl Deserializer<'de>) -> Result<T, Invalid> {
    let document: T = serde_path_to_error::deserialize(from).map_err(|error| {
        let path = plain::path(error.path());
        Invalid::new(path, plain::message(&error.into_inner().to_string()))
    })?;
    document.check()?;
    Ok(document)
}

/// Reads a document from JSON text, and checks it.
///
/// # Errors
/// As [`read`], and if the text is not JSON or anything follows the document.
pub fn read_json<T: Document>(text: &[u8]) -> Result<T, Invalid> {
    if text.trim_ascii().is_empty() {
        return Err(Invalid::new("", "the body is empty: expected a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_slice(text);
    let document: T = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = plain::path(error.path());
        plain::json(path, &error.into_inner())
    })?;
    json.end().map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Invalid::new("", format!("more follows the JSON object, at line {line} column {column}"))
    })?;
    document.check()?;
    Ok(document)
}

/// A document is wrong, or is not well-formed. The error never quotes a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", located(path))]
pub struct Invalid {
    /// The path of the field, such as `verify.secrets[0]`. Empty for the document as a whole.
    pub path: String,
    /// What is wrong there, and what is allowed.
    pub message: String,
}

impl Invalid {
    /// An error about the field at `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

fn located(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("`{path}`: ") }
}

/// A field of the interface that this version does not implement. Only null is accepted, so that nobody
/// relies on a setting that nothing reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct NotYet;

impl<'de> Deserialize<'de> for NotYet {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Option::<IgnoredAny>::deserialize(from)? {
            None => Ok(Self),
            Some(_) => Err(D::Error::custom("not there yet: leave it out, or set it to null")),
        }
    }
}

#[cfg(test)]
mod tests;
