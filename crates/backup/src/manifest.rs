//! What a backup holds, as `manifest.json` in its folder says it.

use async_nats::ServerInfo;
use floodgate_event::Name;
use floodgate_event::snapshot::Digest256;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::Place;

/// The form of folder and manifest that this version writes and reads.
pub const FORMAT: u32 = 1;
/// The manifest's file.
pub const FILE: &str = "manifest.json";

/// A backup's contents.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The program that wrote it.
    pub made_by: String,
    /// When it was begun.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// When its last stream was saved.
    #[serde(with = "time::serde::rfc3339")]
    pub finished_at: OffsetDateTime,
    /// The region; none for the centre.
    pub region: Option<Name>,
    /// The deployment's number of shards.
    pub shards: u32,
    /// The nats-server that was asked.
    pub server: Server,
    /// The streams, in the order in which they were saved.
    pub streams: Vec<Stream>,
}

/// A nats-server.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A stream, and the file that holds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// Its name.
    pub name: String,
    /// The file, in the backup's folder: JetStream's own snapshot, a compressed tar archive.
    pub file: String,
    /// The file's size.
    pub bytes: u64,
    /// The file's SHA-256.
    pub sha256: Digest256,
    /// Messages in the stream.
    pub messages: u64,
    /// The first one's sequence.
    pub first_sequence: u64,
    /// The last one's sequence.
    pub last_sequence: u64,
    /// When the stream was made, as Unix time in microseconds: its incarnation.
    pub created_us: u64,
    /// Its configuration, as the server gave it and gets it back.
    pub config: Value,
    /// Its state, likewise.
    pub state: Value,
}

impl Manifest {
    pub(super) fn begin(place: &Place, shards: u32, server: &ServerInfo) -> Self {
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

    /// What the backup is of.
    pub fn place(&self) -> Place {
        self.region.clone().map_or(Place::Centre, Place::Region)
    }

    /// Its age in days, rounded down; 0 if the clock was set back since.
    pub fn age_days(&self) -> u64 {
        let age = OffsetDateTime::now_utc() - self.started_at;
        u64::try_from(age.whole_days()).unwrap_or(0)
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.streams.iter().map(|stream| stream.bytes).sum()
    }
}
