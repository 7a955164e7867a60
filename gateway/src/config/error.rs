//! Why a configuration is refused.

use std::path::PathBuf;

use floodgate_event::seal::SealError;
use floodgate_event::secret::Unfit;
use floodgate_stream::SettingsError;

use floodgate_tls as tls;

/// Why a configuration was refused. In each case the operator must change a file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The file is not TOML, has an unknown key, lacks one, or has a value of the wrong type.
    #[error("{path}, line {line}: {message}")]
    Syntax {
        /// The path of the file.
        path: PathBuf,
        /// The number of the line that is wrong, from 1.
        line: usize,
        /// What is wrong, without the text of the line: it may hold a password.
        message: String,
    },
    /// A value is not allowed, by itself or together with another one.
    #[error("{path}: `{key}`: {reason}")]
    Invalid {
        /// The path of the file.
        path: PathBuf,
        /// The key of the setting, with its table.
        key: &'static str,
        /// What is wrong with its value.
        reason: String,
    },
    /// A limit of handlers is out of bounds.
    #[error("{path}: {source}")]
    Handlers {
        /// The path of the file.
        path: PathBuf,
        /// Which limit, and what is wrong with it.
        source: floodgate_sandbox::InvalidLimit,
    },
    /// The connection to NATS cannot be configured so, or a file that it names is bad.
    #[error("{path}: {source}")]
    Nats {
        /// The path of the file.
        path: PathBuf,
        /// Which key, and what is wrong with it.
        source: SettingsError,
    },
    /// A file holds no secret, or a secret with a character that nobody can see.
    #[error("{path}: {source}")]
    UnfitSecret {
        /// The path of the file.
        path: PathBuf,
        /// What is wrong with it; never the secret.
        source: Unfit,
    },
    /// A file does not hold the key of a region.
    #[error("{path}: {source}")]
    OpeningKey {
        /// The path of the file.
        path: PathBuf,
        /// What is wrong with it; never the key.
        source: SealError,
    },
    /// The two files do not hold a certificate chain and its key.
    #[error("{path}: {source}")]
    Tls {
        /// The path of the file.
        path: PathBuf,
        /// What is wrong with it.
        source: tls::TlsError,
    },
}
