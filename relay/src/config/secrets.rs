//! The secrets that the configuration names by their files.

use std::fs;
use std::path::Path;

use floodgate_event::Secret;
use floodgate_event::seal::OpeningKey;

use super::{Config, ConfigError};

/// The shortest admin token, in characters.
const LEAST_TOKEN: usize = 16;

impl Config {
    /// Reads the centre's private key.
    ///
    /// # Errors
    /// If the file cannot be read or holds no key.
    pub fn opening_key(&self) -> Result<OpeningKey, ConfigError> {
        let text = read(&self.opening_key_file)?;
        OpeningKey::parse(&text).map_err(|error| ConfigError::Key(self.opening_key_file.clone(), error))
    }

    /// Reads the admin API's bearer token.
    ///
    /// # Errors
    /// If the file cannot be read, holds fewer than 16 characters, or a character that no header can hold.
    pub fn admin_token(&self) -> Result<Secret, ConfigError> {
        let file = &self.admin.token_file;
        let unfit = |unfit| ConfigError::UnfitSecret(file.clone(), unfit);
        let token = Secret::token_from_line(read_bytes(file)?).map_err(unfit)?;
        if token.expose().len() < LEAST_TOKEN {
            let allowed = format!("{LEAST_TOKEN} characters at least");
            return Err(ConfigError::Bounds(file.clone(), "token", allowed));
        }
        Ok(token)
    }
}

/// Reads a file of one line that holds a secret.
pub(super) fn read(path: &Path) -> Result<Secret, ConfigError> {
    Secret::from_line(read_bytes(path)?).map_err(|unfit| ConfigError::UnfitSecret(path.into(), unfit))
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, ConfigError> {
    fs::read(path).map_err(|error| ConfigError::Read(path.into(), error))
}
