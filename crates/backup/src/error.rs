//! Why a backup or a restore failed.

use std::path::PathBuf;

use floodgate_event::{Name, ShardCount};
use floodgate_stream::connect::ConnectError;

/// Why a backup or a restore failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration has no region of this name.
    #[error("the configuration has no region {0}")]
    NoSuchRegion(Name),
    /// The settings of a connection cannot be used.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The NATS of this place did not let a client in within 10 s.
    #[error("the NATS of {0} does not answer")]
    Unreachable(String),
    /// A stream could not be read or deleted, or does not exist.
    #[error("{stream} cannot be looked at")]
    Stream {
        /// The stream that was read or deleted.
        stream: String,
        /// The error of the NATS client or server.
        source: async_nats::Error,
    },
    /// The server refused to save or to restore a stream.
    #[error("{stream}: the server refused: {reason}")]
    Refused {
        /// The stream that was saved or restored.
        stream: String,
        /// The reason in the server's answer.
        reason: String,
    },
    /// Messages of the transfer went missing, or none came for too long.
    #[error("{stream}: the transfer broke off: {reason}")]
    BrokenOff {
        /// The stream that was transferred.
        stream: String,
        /// What went missing, for people to read.
        reason: &'static str,
    },
    /// A restored stream does not hold what was saved.
    #[error("{stream} does not hold after the restore what the backup says: {found} instead of {expected}")]
    Mismatch {
        /// The stream that was restored.
        stream: String,
        /// The counts in the backup.
        expected: String,
        /// The counts after the restore.
        found: String,
    },
    /// A file or folder could not be read or written.
    #[error("{}", path.display())]
    Disk {
        /// The path of the file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// There is something at the target path already.
    #[error("{} exists already: a backup needs a folder of its own", .0.display())]
    Exists(PathBuf),
    /// The manifest is not one of a backup, or has another format.
    #[error("{}: {reason}", path.display())]
    Manifest {
        /// The path of the manifest.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of the backup has changed since it was written.
    #[error("{} is damaged: its SHA-256 is not the manifest's", .0.display())]
    Damaged(PathBuf),
    /// The backup is of another place.
    #[error("this is a backup of {found}, not of {asked}")]
    WrongPlace {
        /// The place in the backup.
        found: String,
        /// The place that was to be restored.
        asked: String,
    },
    /// The deployment has another number of shards.
    #[error("the backup is of a deployment with {found} shards, and the configuration says {asked}")]
    WrongShardCount {
        /// The number in the backup.
        found: ShardCount,
        /// The number in the configuration.
        asked: ShardCount,
    },
    /// The centre is away during a region's restore, so that a running relay would not be noticed.
    #[error(
        "the NATS of the centre does not answer, so that nobody sees whether a relay runs or what the centre has: if you \
         stopped every relay, --centre-is-away restores without it"
    )]
    CentreAway,
    /// A relay runs. It would create streams, or write them, during the restore.
    #[error("relay {0} is running: stop every relay, so that nobody makes or writes streams meanwhile")]
    RelayRuns(String),
    /// A gateway runs. It would continue to write to streams that are deleted.
    #[error(
        "gateway {0} is running: stop every gateway of the region, so that nothing is accepted meanwhile"
    )]
    GatewayRuns(String),
    /// A stream that would be deleted was written during the restore.
    #[error("{0} was written since the restore began: stop who writes it; it was not deleted")]
    ChangedMeanwhile(String),
    /// These streams exist, and may not be replaced.
    #[error("these are there already: {}; --replace deletes them first", .0.join(", "))]
    StreamsExist(Vec<String>),
    /// A stream that would be deleted holds events that exist nowhere else.
    #[error(
        "{stream} holds blocks that the centre does not have, {blocks} at most: let the relay copy them first, or give \
         them up with --discard-unreplicated"
    )]
    Unreplicated {
        /// The stream that would be deleted.
        stream: String,
        /// The number of such blocks, at most.
        blocks: u64,
    },
    /// Ids of the backup's events may be forgotten, so that they would be delivered again.
    #[error(
        "the backup is {days} days old, and ids are remembered for {window} days: what the centre had from it would be \
         delivered again; --deliver-again accepts that"
    )]
    PastDedupWindow {
        /// The backup's age in days.
        days: u64,
        /// For how many days ids are remembered: `dedup.window_days`.
        window: u32,
    },
}
