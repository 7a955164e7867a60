//! Why a handler could not be tried out.

use floodgate_sandbox::UnknownKey;

use crate::{fixture, load};

/// Why a handler could not be tested or measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder of fixtures has none, or one of them is malformed.
    #[error(transparent)]
    Fixture(#[from] fixture::Error),
    /// A fixture grants a key that it does not have.
    #[error(transparent)]
    Grant(#[from] UnknownKey),
    /// The component was refused, or its limits were.
    #[error(transparent)]
    Load(#[from] load::Error),
    /// A fixture to measure has another outcome than it expects.
    #[error("{0}: not what is expected; see `floodgate handler test`")]
    Unexpected(String),
    /// An outcome cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl Error {
    /// Returns true if what the caller wrote or named is wrong, and false if the work failed.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Fixture(_) | Self::Grant(_) => true,
            Self::Load(error) => error.is_usage(),
            Self::Unexpected(_) | Self::Json(_) => false,
        }
    }
}
