//! Why an edit fails.

use std::fmt;

/// Why a text could not be edited.
#[derive(Debug)]
pub enum EditError {
    /// The text, or a part of it that had to be read, is not JSON.
    NotJson,
    /// This is not a JSON pointer, has more than 100 tokens, or is the empty one where a value was to be
    /// removed.
    Pointer(String),
    /// No object is there that a member could be added to at this pointer.
    NoObject(String),
    /// The value in the text does not have the type that was asked for, or the value to set has no JSON form.
    Value {
        /// The JSON pointer of the value.
        at: String,
        /// What serde_json says of it.
        source: serde_json::Error,
    },
}

// By hand: each dependency of this crate is compiled with every handler.
impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson => f.write_str("not JSON"),
            Self::Pointer(at) => write!(f, "`{at}` is not a JSON pointer that can be edited at"),
            Self::NoObject(at) => write!(f, "there is no object that `{at}` could stand in"),
            Self::Value { at, source } => write!(f, "the value at `{at}`: {source}"),
        }
    }
}

impl std::error::Error for EditError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Value { source, .. } => Some(source),
            _ => None,
        }
    }
}
