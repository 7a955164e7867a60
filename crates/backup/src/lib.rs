//! Backup and restore of what NATS holds, of the centre or of one region, by JetStream's own snapshots.
//!
//! Nothing stops during a backup, so that its streams are not of one moment. They are saved in an order that
//! makes up for this: see [`Place::streams`]. A backup gets its name once all of it is on disk. A crash
//! before that leaves a folder with `.unfinished` in its name, which nothing reads.
//!
//! A restore checks everything before it changes anything, and then restores stream by stream. A crash leaves
//! some streams restored, at most one missing, and the others as they were. Restoring again, with
//! [`RestoreOptions`] that allow to replace these streams, completes it. What a restore brings back is older
//! than what was there, and a [`RestoreReport`] says what the difference means.

mod connection;
mod error;
mod folder;
mod liveness;
pub mod manifest;
pub mod report;
mod restore;
mod snapshot;

use std::path::Path;
use std::time::Duration;

use async_nats::jetstream::Context;
use floodgate_event::{Lane, Name, ShardCount, subject};
use floodgate_stream::Settings;
use floodgate_stream::placement::Replicas;

pub use self::error::Error;
pub use self::manifest::Manifest;
pub use self::report::RestoreReport;
pub use self::restore::{RestoreOptions, restore};

/// The part of a deployment that a backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The centre: logs, journals and the configuration.
    Centre,
    /// The region of this name: its lanes and its snapshot of the configuration.
    Region(Name),
}

/// Shows the progress of a backup or a restore.
pub trait Progress {
    /// Called when a stream begins, with its approximate size in bytes.
    fn begins(&mut self, stream: &str, bytes: u64);
    /// Called when this many more bytes of the stream are transferred.
    fn moved(&mut self, bytes: u64);
}

impl Place {
    /// The streams to save, in the order in which they are saved.
    ///
    /// A journal that knew more than the log would skip what is appended to the log again, so that journals
    /// come before logs. Messages that were set aside and components are named by what is saved before them,
    /// so that they come last.
    pub fn streams(&self, shards: ShardCount) -> Vec<String> {
        let bucket = |bucket: &str| format!("KV_{bucket}");
        let handlers = format!("OBJ_{}", subject::HANDLERS_BUCKET);
        match self {
            Self::Centre => shards
                .ids()
                .map(subject::journal_stream)
                .chain(shards.ids().map(subject::log_stream))
                .chain([subject::SET_ASIDE_STREAM.to_owned(), bucket(subject::CONTROL_BUCKET), handlers])
                .chain([bucket(subject::LEASE_BUCKET)])
                .collect(),
            Self::Region(_) => {
                let lanes = Lane::ALL.map(|lane| subject::regional_stream(lane).to_owned());
                lanes.into_iter().chain([bucket(subject::SNAPSHOT_BUCKET), handlers]).collect()
            }
        }
    }

    /// `the centre`, or the region's name.
    pub fn label(&self) -> &str {
        match self {
            Self::Centre => "the centre",
            Self::Region(name) => name.as_str(),
        }
    }

    async fn connect(&self, deployment: &Deployment) -> Result<Context, Error> {
        match self {
            Self::Centre => connection::reach("centre", &deployment.nats).await,
            Self::Region(name) => {
                let region = deployment.regions.iter().find(|region| region.name == *name);
                let region = region.ok_or_else(|| Error::NoSuchRegion(name.clone()))?;
                connection::reach(name, &region.nats).await
            }
        }
    }
}

/// The deployment that is saved or restored, as a relay's configuration describes it.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// How to connect to the centre's NATS.
    pub nats: Settings,
    /// How many servers keep each of the centre's streams. `None` keeps what the backup says.
    pub replicas: Option<Replicas>,
    /// All regions of the deployment.
    pub regions: Vec<Region>,
    /// The deployment's number of shards.
    pub shards: ShardCount,
    /// How long a writer's lease lasts.
    pub lease: Duration,
    /// For how many days a second copy of an event is recognised as a duplicate.
    pub window_days: u32,
}

/// A region of a deployment.
#[derive(Clone, Debug)]
pub struct Region {
    /// The region's name in the relay's configuration.
    pub name: Name,
    /// How to connect to the region's NATS.
    pub nats: Settings,
    /// How many servers keep each of its streams. `None` keeps what the backup says.
    pub replicas: Option<Replicas>,
}

/// Saves a place into the folder `out`, which must not exist yet. If this fails, it still does not exist.
///
/// # Errors
/// If the place cannot be reached, a stream is missing or its snapshot breaks off, or the disk fails.
pub async fn backup(
    deployment: &Deployment,
    place: &Place,
    out: &Path,
    progress: &mut impl Progress,
) -> Result<Manifest, Error> {
    let context = place.connect(deployment).await?;
    let folder = folder::Unfinished::make(out)?;
    let mut manifest = Manifest::begin(place, deployment.shards, &context.client().server_info());
    for stream in place.streams(deployment.shards) {
        manifest.streams.push(snapshot::save(&context, &stream, &folder, progress).await?);
    }
    manifest.finish();
    folder.complete(&manifest)?;
    Ok(manifest)
}
