//! Backup and restore of what NATS holds, by JetStream's own snapshots: of the centre, or of one region.
//!
//! Nothing stops while a backup is made, so its streams are not of one moment, and the order in which they
//! are taken makes up for it (see [`Place::streams`]). What a restore brings back is older than what it
//! replaces; [`outlook`] says what the difference means.

mod folder;
mod guard;
mod link;
pub mod manifest;
pub mod outlook;
mod restore;
mod snapshot;

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::jetstream::Context;
use floodgate_event::{Lane, Name, subject};
use floodgate_stream::Settings;
use floodgate_stream::placement::Replicas;

pub use self::manifest::Manifest;
pub use self::outlook::Outlook;
pub use self::restore::{Permits, restore};
use floodgate_stream::connect::ConnectError;

/// What a backup is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The centre.
    Centre,
    /// A region, by its name.
    Region(Name),
}

/// Told how a long work goes on.
pub trait Progress {
    /// A stream begins; it holds about so many bytes.
    fn begins(&mut self, stream: &str, bytes: u64);
    /// So many bytes more of it are done.
    fn moved(&mut self, bytes: u64);
}

impl Place {
    /// The streams to save, in the order in which they are saved.
    ///
    /// A journal that knew more than the log would pass over what is appended to the log again, so
    /// the journal goes first; the set-aside messages and the components are named by what is saved
    /// before them, so they go last.
    pub fn streams(&self, shards: u32) -> Vec<String> {
        let bucket = |bucket: &str| format!("KV_{bucket}");
        let handlers = format!("OBJ_{}", subject::HANDLERS_BUCKET);
        match self {
            Self::Centre => (0..shards)
                .map(subject::journal_stream)
                .chain((0..shards).map(subject::log_stream))
                .chain([subject::SET_ASIDE_STREAM.to_owned(), bucket(subject::CONTROL_BUCKET), handlers])
                .chain([bucket(subject::LEASE_BUCKET)])
                .collect(),
            Self::Region(_) => {
                let lanes = Lane::ALL.map(|lane| subject::regional_stream(lane).to_owned());
                lanes.into_iter().chain([bucket(subject::SNAPSHOT_BUCKET), handlers]).collect()
            }
        }
    }

    /// `centre`, or the region's name.
    pub fn label(&self) -> &str {
        match self {
            Self::Centre => "the centre",
            Self::Region(name) => name.as_str(),
        }
    }

    async fn connect(&self, deployment: &Deployment) -> Result<Context, BackupError> {
        match self {
            Self::Centre => link::reach("centre", &deployment.nats).await,
            Self::Region(name) => {
                let region = deployment.regions.iter().find(|region| region.name == *name);
                let region = region.ok_or_else(|| BackupError::NoSuchRegion(name.clone()))?;
                link::reach(name, &region.nats).await
            }
        }
    }
}

/// The deployment that is saved or restored, as a relay's configuration describes it.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The centre's NATS.
    pub nats: Settings,
    /// On how many servers the centre's streams are kept; `None` keeps what the backup says.
    pub replicas: Option<Replicas>,
    /// Its regions.
    pub regions: Vec<Region>,
    /// How many shards it has.
    pub shards: u32,
    /// How long a writer's lease lasts.
    pub lease: Duration,
    /// For how many days a second copy of an event is recognised.
    pub window_days: u32,
}

/// A region of it.
#[derive(Clone, Debug)]
pub struct Region {
    /// Its name.
    pub name: Name,
    /// Its NATS.
    pub nats: Settings,
    /// On how many servers its streams are kept; `None` keeps what the backup says.
    pub replicas: Option<Replicas>,
}

/// Saves a place into the folder `out`, which must not exist. All of it is there in the end, or nothing.
///
/// # Errors
/// If the place cannot be reached, a stream is missing or its snapshot breaks off, or the disk fails.
pub async fn backup(
    deployment: &Deployment,
    place: &Place,
    out: &Path,
    progress: &mut impl Progress,
) -> Result<Manifest, BackupError> {
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

/// Why a backup or a restore did not come about.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The configuration names no such region.
    #[error("the configuration has no region {0}")]
    NoSuchRegion(Name),
    /// The configuration of the connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Nobody answers.
    #[error("the NATS of {0} does not answer")]
    Unreachable(String),
    /// A stream that should be there is not.
    #[error("{stream} cannot be looked at")]
    Look {
        /// The stream.
        stream: String,
        /// Why.
        source: async_nats::Error,
    },
    /// The server refused.
    #[error("{stream}: the server refused: {reason}")]
    Refused {
        /// The stream.
        stream: String,
        /// What it said.
        reason: String,
    },
    /// Messages of the transfer went missing, or none came for too long.
    #[error("{stream}: the transfer broke off: {reason}")]
    BrokenOff {
        /// The stream.
        stream: String,
        /// How.
        reason: &'static str,
    },
    /// What stands there after a restore is not what was saved.
    #[error("{stream} does not hold after the restore what the backup says: {found} instead of {expected}")]
    Differs {
        /// The stream.
        stream: String,
        /// What the backup says.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The disk, or a folder of that name.
    #[error("{}", path.display())]
    Disk {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The target folder is taken.
    #[error("{} exists already: a backup needs a folder of its own", .0.display())]
    Exists(PathBuf),
    /// Not a backup of this program's, or of another form.
    #[error("{}: {reason}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file of the backup is not as it was written.
    #[error("{} is damaged: its SHA-256 is not the manifest's", .0.display())]
    Damaged(PathBuf),
    /// The backup is of something else.
    #[error("this is a backup of {found}, not of {asked}")]
    AnotherPlace {
        /// What it is of.
        found: String,
        /// What was asked for.
        asked: String,
    },
    /// The deployment has another number of shards.
    #[error("the backup is of a deployment with {found} shards, and the configuration says {asked}")]
    AnotherShape {
        /// Of the backup.
        found: u32,
        /// Of the configuration.
        asked: u32,
    },
    /// A region's restore, and nobody to ask whether a relay runs.
    #[error(
        "the NATS of the centre does not answer, so that nobody sees whether a relay runs or what the centre has: if you \
         stopped every relay, --centre-is-away goes on without it"
    )]
    CentreAway,
    /// A relay would make streams, or write them, meanwhile.
    #[error("relay {0} is running: stop every relay, so that nobody makes or writes streams meanwhile")]
    RelayRuns(String),
    /// A gateway would go on accepting into what is deleted.
    #[error(
        "gateway {0} is running: stop every gateway of the region, so that nothing is accepted meanwhile"
    )]
    GatewayRuns(String),
    /// Somebody writes a stream that would be deleted.
    #[error("{0} was written since the restore began: stop who writes it; it was not deleted")]
    Written(String),
    /// There is something already.
    #[error("these are there already: {}; --replace deletes them first", .0.join(", "))]
    Present(Vec<String>),
    /// What would be deleted is nowhere else.
    #[error(
        "{stream} holds blocks that the centre does not have, {blocks} at most: let the relay copy them first, or give \
         them up with --discard-unreplicated"
    )]
    Unreplicated {
        /// The stream.
        stream: String,
        /// How many at most.
        blocks: u64,
    },
    /// Old events would be taken for new ones.
    #[error(
        "the backup is {days} days old, and ids are remembered for {window} days: what the centre had from it would be \
         delivered again; --deliver-again accepts that"
    )]
    PastWindow {
        /// Its age.
        days: u64,
        /// `dedup.window_days`.
        window: u32,
    },
}
