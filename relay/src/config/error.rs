//! Why a configuration was refused.

use std::path::PathBuf;

use floodgate_event::Name;
use floodgate_event::seal::SealError;
use floodgate_event::secret::Unfit;
use floodgate_stream::SettingsError;

/// The key of a setting that is out of bounds, and what is allowed.
pub(super) type OutOfBounds = (&'static str, String);

/// Why the configuration cannot be used. The operator must change a file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{}: cannot be read", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    /// The file is not TOML of this form: the number of the line, from 1, and the reason.
    #[error("{}, line {}: {}", .0.display(), .1, .2)]
    Parse(PathBuf, usize, String),
    /// A value is out of bounds: its key, and what is allowed.
    #[error("{}: `{}` is out of bounds: expected {}", .0.display(), .1, .2)]
    Bounds(PathBuf, &'static str, String),
    /// A connection to NATS: whose, and what is wrong with it.
    #[error("{}: {}: {}", .0.display(), .1, .2)]
    Nats(PathBuf, String, #[source] SettingsError),
    /// A region cannot be used: which one, and what is allowed.
    #[error("region {0}: expected {1}")]
    Region(Name, &'static str),
    /// A file holds no secret, or a secret with a character that nobody can see.
    #[error("{}: {}", .0.display(), .1)]
    UnfitSecret(PathBuf, #[source] Unfit),
    /// A file does not hold a key.
    #[error("{}: {}", .0.display(), .1)]
    Key(PathBuf, #[source] SealError),
}
