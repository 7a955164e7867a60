//! The regions and the centre in the configuration: where they are, and what their streams are made with.

use std::num::NonZeroU8;
use std::path::{Path, PathBuf};

use floodgate_event::seal::SealingKey;
use floodgate_event::{Lane, Name};
use floodgate_stream::Settings;
use serde::Deserialize;

use super::{ConfigError, read_secret};

/// The least that a lane's stream may be limited to: two of the largest messages.
const LEAST_MAX_BYTES: u64 = 16 * 1024 * 1024;

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

/// The centre's streams.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Centre {
    /// On how many servers they are kept; left out, as for a region.
    pub replicas: Option<Replicas>,
}

/// On how many servers a stream is kept: 1 or 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u8")]
pub struct Replicas(NonZeroU8);

impl Replicas {
    /// As a stream's configuration has it.
    pub fn count(self) -> usize {
        self.0.get().into()
    }
}

impl TryFrom<u8> for Replicas {
    type Error = &'static str;

    fn try_from(count: u8) -> Result<Self, Self::Error> {
        match NonZeroU8::new(count) {
            Some(count) if matches!(count.get(), 1 | 3) => Ok(Self(count)),
            Some(_) | None => Err("expected 1 or 3 replicas"),
        }
    }
}

/// The most bytes that each lane's stream of a region may hold; then it refuses, and
/// senders are asked to come back.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxBytes {
    critical: Option<u64>,
    standard: Option<u64>,
    bulk: Option<u64>,
}

impl MaxBytes {
    /// The limit of a lane's stream, if it has one.
    pub fn of(&self, lane: Lane) -> Option<i64> {
        let bytes = match lane {
            Lane::Critical => self.critical,
            Lane::Standard => self.standard,
            Lane::Bulk => self.bulk,
        };
        // What does not fit is refused when the file is read.
        bytes.and_then(|bytes| i64::try_from(bytes).ok())
    }

    fn is_within_bounds(self) -> bool {
        let bounds = LEAST_MAX_BYTES..=i64::MAX.unsigned_abs();
        [self.critical, self.standard, self.bulk].into_iter().flatten().all(|bytes| bounds.contains(&bytes))
    }
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
