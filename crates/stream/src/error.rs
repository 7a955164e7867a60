//! What can be wrong with the settings of a connection.

use std::path::PathBuf;

use floodgate_event::secret::Unfit;

/// Why the settings of a connection are refused.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A value is not allowed, by itself or together with another one.
    #[error("`{key}`: {reason}")]
    Invalid {
        /// The key, as it is written in the file.
        key: &'static str,
        /// The values that are allowed.
        reason: &'static str,
    },
    /// A file cannot be read.
    #[error("`{key}`: {}: {source}", path.display())]
    Unreadable {
        /// The key that names it.
        key: &'static str,
        /// The path of the file, as the settings give it.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A file holds no secret, or a secret with invisible characters.
    #[error("`{key}`: {}: {source}", path.display())]
    UnfitSecret {
        /// The key that names it.
        key: &'static str,
        /// The path of the file, as the settings give it.
        path: PathBuf,
        /// What is wrong with it. It never quotes the secret.
        source: Unfit,
    },
    /// A file holds something else than its key asks for.
    #[error("`{key}`: {}: {expected}", path.display())]
    Unusable {
        /// The key that names it.
        key: &'static str,
        /// The path of the file, as the settings give it.
        path: PathBuf,
        /// What the file should hold. It never quotes what the file holds.
        expected: &'static str,
    },
}
