//! The relay's configuration file (TOML). Unknown keys are refused, and bounds are checked when it is read.

mod check;
mod error;
mod region;
mod secrets;
mod tables;

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use std::fs;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use floodgate_event::{Name, ShardCount, place};
use floodgate_stream::Settings;
use floodgate_stream::placement::{Centre, Rejects};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::mpsc;

pub use self::error::ConfigError;
pub use self::region::Region;
pub use self::tables::{Admin, Dedup, Forward, Handlers, History, LeaseConfig};

/// How many regions a deployment may have.
const REGIONS: RangeInclusive<usize> = 1..=64;

/// The relay's settings, as the file gives them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The name of this relay. Each relay of a centre needs its own: it is the holder that the lease records,
    /// and the logs show it.
    #[schemars(with = "String", example = "centre-1", extend("x-type" = "name"))]
    pub relay: Name,
    /// The folder of the dedup ledger and of the delivery index, on a local disk. The relay creates it. You
    /// can delete it while the relay is stopped: both are made again from the streams of the centre, which
    /// takes as long as reading them.
    #[schemars(example = "/var/lib/floodgate/relay")]
    pub state_dir: PathBuf,
    /// The number of shards, each with a log and a journal of its own and one relay that writes to it. The
    /// first start fixes it: a relay with another number refuses to start. One shard serves most deployments.
    #[serde(default = "one_shard")]
    #[schemars(with = "u32", range(min = ShardCount::ONE.get(), max = ShardCount::MAX))]
    pub shards: ShardCount,
    /// The file with the centre's private key, as `floodgate keys sealing` writes it. All secrets in the
    /// configuration of the deployment are sealed to it. Every relay has the same key, and it cannot be
    /// replaced.
    #[schemars(example = "/etc/floodgate/centre.key")]
    pub opening_key_file: PathBuf,
    /// The address and port of `/metrics`, plain HTTP without authentication. Keep it in a private network.
    #[schemars(with = "String", example = "10.0.0.11:9400", extend("x-type" = "address:port"))]
    pub metrics_listen: SocketAddr,
    /// Where the relay serves the admin API.
    pub admin: Admin,
    /// The connection to the centre's NATS.
    pub nats: Settings,
    /// How the streams of the centre are kept.
    #[serde(default)]
    pub centre: Centre,
    /// The regions whose events the relay copies, one table each. A region that is added or removed takes a
    /// restart of every relay.
    #[schemars(length(min = *REGIONS.start(), max = *REGIONS.end()))]
    pub regions: Vec<Region>,
    /// When another relay takes over.
    #[serde(default)]
    pub lease: LeaseConfig,
    /// How long Floodgate recognises a second copy of an event.
    #[serde(default)]
    pub dedup: Dedup,
    /// How long regions keep events that the centre has.
    #[serde(default)]
    pub history: History,
    /// Where deliveries may go, and how many may wait for a destination that takes none.
    #[serde(default)]
    pub forward: Forward,
    /// How long refused requests are kept.
    #[serde(default)]
    pub rejects: Rejects,
    /// How the relay checks uploaded handlers.
    #[serde(default)]
    pub handlers: Handlers,
    /// Each message makes the relay read again the files that its file names: keys, credentials and the admin
    /// token. Not in the file.
    #[serde(skip)]
    pub reload: Option<mpsc::Receiver<()>>,
    /// Where it was read.
    #[serde(skip)]
    pub(crate) path: PathBuf,
}

fn one_shard() -> ShardCount {
    ShardCount::ONE
}

impl Config {
    /// Reads and checks a file. Relative paths in it start from its folder.
    ///
    /// # Errors
    /// Names the file and the key that is wrong, and what is allowed.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|error| ConfigError::Read(path.into(), error))?;
        let config: Self = toml::from_str(&text).map_err(|error| {
            let line = place::line(&text, error.span());
            ConfigError::Parse(path.into(), line, error.message().to_owned())
        })?;
        config.check(path)?;
        let config = config.in_folder(path.parent().unwrap_or(Path::new("")));
        Ok(Self { path: path.to_owned(), ..config })
    }

    fn in_folder(self, folder: &Path) -> Self {
        let Admin { listen, token_file } = self.admin;
        Self {
            state_dir: folder.join(self.state_dir),
            opening_key_file: folder.join(self.opening_key_file),
            admin: Admin { listen, token_file: folder.join(token_file) },
            nats: self.nats.in_folder(folder),
            regions: self.regions.into_iter().map(|region| region.in_folder(folder)).collect(),
            ..self
        }
    }
}
