//! What can happen to a stream of the centre.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a stream lost messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Lost {
    /// There is none of this name.
    Missing,
    /// It is not the one that was noted.
    Anew,
    /// It ends before what was read from it.
    WentBack {
        /// Its last sequence.
        last: u64,
        /// The last one that is known to have been there.
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
