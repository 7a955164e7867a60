//! The ways in which a stream of the centre can lose messages.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a stream lost messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Lost {
    /// There is no stream of this name.
    Missing,
    /// The stream is not the one that was recorded: it was deleted and created again.
    Anew,
    /// The stream ends before messages that were read from it.
    WentBack {
        /// The last sequence that the stream has now.
        last: u64,
        /// The last sequence that was read from it.
        known: u64,
    },
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it is gone"),
            Self::Anew => f.write_str("it is another stream than before, made anew"),
            Self::WentBack { last, known } => {
                write!(f, "it went back: it ends at {last}, and {known} was read from it")
            }
        }
    }
}
