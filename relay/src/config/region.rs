//! The regions and the centre in the configuration: where they are, and what their streams are made with.

use std::path::{Path, PathBuf};

use floodgate_event::Name;
use floodgate_event::seal::SealingKey;
use floodgate_stream::Settings;
use floodgate_stream::placement::{MaxBytes, Placement, Replicas};
use serde::Deserialize;

use super::{ConfigError, read_secret};

/// A region to copy from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// Its name.
    pub name: Name,
    /// The public half of its key: its sources' secrets are sealed to it. Or `sealing_key_file`.
    sealing_key: Option<SealingKey>,
    /// Holds that key.
    sealing_key_file: Option<PathBuf>,
    /// Its NATS.
    pub nats: Settings,
    /// On how many servers its streams are kept. Left out, new ones are on one, and
    /// existing ones stay as they are.
    pub replicas: Option<Replicas>,
    /// What its streams may hold. Left out, they are not limited, and existing ones stay as they are.
    #[serde(default)]
    pub max_bytes: MaxBytes,
}

impl Region {
    /// Whom its sources' secrets are sealed to.
    ///
    /// # Errors
    /// If its file cannot be read or holds no key.
    pub fn sealing_key(&self) -> Result<SealingKey, ConfigError> {
        let refused = || ConfigError::Region(self.name.clone(), "one of sealing_key and sealing_key_file");
        match (&self.sealing_key, &self.sealing_key_file) {
            (Some(key), None) => Ok(key.clone()),
            (None, Some(file)) => {
                let text = read_secret(file)?.expose().to_owned();
                SealingKey::try_from(text).map_err(|error| ConfigError::Key(file.clone(), error))
            }
            _ => Err(refused()),
        }
    }

    /// How its streams are kept.
    pub fn placement(&self) -> Placement {
        Placement { replicas: self.replicas, max_bytes: self.max_bytes }
    }

    pub(super) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if self.sealing_key.is_some() == self.sealing_key_file.is_some() {
            return Err(("regions.sealing_key", "one of sealing_key and sealing_key_file"));
        }
        if !self.max_bytes.is_within_bounds() {
            return Err(("regions.max_bytes", "16777216 (16 MiB) at least for each lane"));
        }
        Ok(())
    }

    pub(super) fn in_folder(self, folder: &Path) -> Self {
        Self {
            sealing_key_file: self.sealing_key_file.map(|file| folder.join(file)),
            nats: self.nats.in_folder(folder),
            ..self
        }
    }
}
