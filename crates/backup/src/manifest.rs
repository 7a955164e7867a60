//! The description of a backup: `manifest.json` in its folder. It is written last, so that a folder with a
//! manifest is complete.

use async_nats::ServerInfo;
use floodgate_event::{Digest256, Name, ShardCount};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::Place;

/// The format of folder and manifest that this version writes and reads.
pub const FORMAT: u32 = 1;
/// The manifest's file name.
pub(crate) const FILE: &str = "manifest.json";

/// The contents of a backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The backup's format: [`FORMAT`].
    pub format: u32,
    /// The program that wrote the backup, with its version.
    pub made_by: String,
    /// When the backup began, by the clock of the host that made it.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// When its last stream was saved.
    #[serde(with = "time::serde::rfc3339")]
    pub finished_at: OffsetDateTime,
    /// The region that was saved. `None` for the centre.
    pub region: Option<Name>,
    /// The deployment's number of shards.
    pub shards: ShardCount,
    /// The nats-server that sent the snapshots.
    pub server: Server,
    /// The streams, in the order in which they were saved.
    pub streams: Vec<Stream>,
}

/// A nats-server, as it describes itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// The server's name, as its `nats.conf` has it.
    pub name: String,
    /// The version of nats-server, such as `2.15.1`.
    pub version: String,
}

/// A stream, and the file that holds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// The stream's name on the server.
    pub name: String,
    /// The file, in the backup's folder: JetStream's own snapshot, a compressed tar archive.
    pub file: String,
    /// The file's size in bytes.
    pub bytes: u64,
    /// The SHA-256 of the file.
    pub sha256: Digest256,
    /// The number of messages in the stream.
    pub messages: u64,
    /// The sequence of the first message.
    pub first_sequence: u64,
    /// The sequence of the last message.
    pub last_sequence: u64,
    /// When the stream was created, which tells its incarnation. Unix time in microseconds.
    pub created_us: u64,
    /// The stream's configuration in the server's own form. A restore sends it back.
    pub config: Value,
    /// The stream's state in the server's own form. A restore sends it back.
    pub state: Value,
}

impl Manifest {
    pub(super) fn begin(place: &Place, shards: ShardCount, server: &ServerInfo) -> Self {
        let now = OffsetDateTime::now_utc();
        let region = match place {
            Place::Centre => None,
            Place::Region(name) => Some(name.clone()),
        };
        Self {
            format: FORMAT,
            made_by: concat!("floodgate ", env!("CARGO_PKG_VERSION")).to_owned(),
            started_at: now,
            finished_at: now,
            region,
            shards,
            server: Server { name: server.server_name.clone(), version: server.version.clone() },
            streams: Vec::new(),
        }
    }

    pub(super) fn finish(&mut self) {
        self.finished_at = OffsetDateTime::now_utc();
    }

    /// The place that the backup is of.
    pub fn place(&self) -> Place {
        self.region.clone().map_or(Place::Centre, Place::Region)
    }

    /// The backup's age in days, rounded down. 0 if the clock was set back since.
    pub(crate) fn age_days(&self) -> u64 {
        let age = OffsetDateTime::now_utc() - self.started_at;
        u64::try_from(age.whole_days()).unwrap_or(0)
    }

    /// The size of all files together, in bytes.
    pub fn bytes(&self) -> u64 {
        self.streams.iter().map(|stream| stream.bytes).sum()
    }
}
