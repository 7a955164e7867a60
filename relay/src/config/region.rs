//! One region in the configuration: where it is, and what its streams are made with.

use std::path::{Path, PathBuf};

use floodgate_event::Name;
use floodgate_event::seal::SealingKey;
use floodgate_stream::Settings;
use floodgate_stream::placement::{MaxBytes, Placement, Rejects, Replicas};
use schemars::JsonSchema;
use serde::Deserialize;

use super::error::OutOfBounds;
use super::{ConfigError, Dedup, secrets};

/// A `[[regions]]` table: a region whose events the relay copies.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// The name of the region, the same as `region` in the configuration of its gateways. Do not change it
    /// later: the log records the events of each region by this name.
    #[schemars(with = "String", example = &"eu", extend("x-type" = "name"))]
    pub name: Name,
    /// The public half of the region's key, as text. The secrets of sources are sealed to it for the region's
    /// gateways. Set either this or `sealing_key_file`.
    #[schemars(with = "Option<String>", extend("x-type" = "public key", "x-reload" = true))]
    sealing_key: Option<SealingKey>,
    /// The file with that public key, as `floodgate keys sealing` writes it. Set either this or
    /// `sealing_key`.
    #[schemars(example = "/etc/floodgate/region-eu.pub", extend("x-reload" = true))]
    sealing_key_file: Option<PathBuf>,
    /// The connection to the region's NATS.
    pub nats: Settings,
    /// On how many NATS servers the region's streams are kept: 3 for a cluster of three. If left out, new
    /// streams are on one server, and existing streams stay as they are.
    #[schemars(example = 3, extend("enum" = Replicas::ALLOWED))]
    pub replicas: Option<Replicas>,
    /// How many bytes the stream of each lane may hold. A full stream makes gateways answer 503 for its lane
    /// alone. If left out, the streams have no limit of their own, and existing streams stay as they are.
    #[serde(default)]
    pub max_bytes: MaxBytes,
}

impl Region {
    /// The key that the secrets of sources are sealed to for this region.
    ///
    /// # Errors
    /// If its file cannot be read or holds no key.
    pub fn sealing_key(&self) -> Result<SealingKey, ConfigError> {
        let refused = || ConfigError::Region(self.name.clone(), "one of sealing_key and sealing_key_file");
        match (&self.sealing_key, &self.sealing_key_file) {
            (Some(key), None) => Ok(key.clone()),
            (None, Some(file)) => {
                let text = secrets::read(file)?.expose().to_owned();
                SealingKey::try_from(text).map_err(|error| ConfigError::Key(file.clone(), error))
            }
            _ => Err(refused()),
        }
    }

    /// How its streams are kept.
    pub fn placement(&self, rejects: Rejects, dedup: Dedup) -> Placement {
        let held_days = Some(dedup.window_days);
        Placement { replicas: self.replicas, max_bytes: self.max_bytes, rejects, held_days }
    }

    pub(super) fn check(&self) -> Result<(), OutOfBounds> {
        if self.sealing_key.is_some() == self.sealing_key_file.is_some() {
            return Err(("regions.sealing_key", "one of sealing_key and sealing_key_file".to_owned()));
        }
        if !self.max_bytes.is_within_bounds() {
            let least = MaxBytes::LEAST;
            let allowed = format!("{least} ({} MiB) at least for each lane", least >> 20);
            return Err(("regions.max_bytes", allowed));
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
