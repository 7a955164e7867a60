//! The record of a shard: `routed.<shard>` in the centre's control bucket.

use async_nats::jetstream::kv::{self, EntryError, Operation, UpdateError, WatchError};
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// The revision that the writer of a shard routes by, as it recorded it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutedRevision {
    /// Each event that is read from now on is matched by this revision or a later one.
    pub revision: u64,
    /// The sequence of the writer's fence in the journal. A later writer has a higher one.
    pub epoch: u64,
    /// The writer's name, for people to read.
    pub relay: String,
}

/// Reads a record. `None` if it was deleted or cannot be read: the shard's writer then writes it again.
pub(super) fn decode(entry: &kv::Entry) -> Option<RoutedRevision> {
    let value = (entry.operation == Operation::Put).then_some(&entry.value)?;
    serde_json::from_slice(value).ok()
}

/// Why a record cannot be read or written. These errors are only logged, and the operation is tried again.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("what a shard routes by cannot be read")]
    Read(#[from] EntryError),
    #[error("what a shard routes by cannot be written")]
    Write(#[from] UpdateError),
    #[error("what shards route by cannot be watched")]
    Watch(#[from] WatchError),
    #[error("what a shard routes by cannot be put into words")]
    Json(#[from] serde_json::Error),
    #[error("the journal's last fence cannot be read: {0}")]
    Fence(#[source] async_nats::Error),
}
