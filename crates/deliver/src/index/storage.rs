//! The index's files: one database with a table for each kind of entry.

use std::collections::HashMap;
use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use floodgate_event::{Lane, Name};
use prost::Message;

use super::values::{DeliveryRow, SourceTally};
use super::{Checkpoint, IndexError};

/// Memory for blocks that were read from disk, in bytes.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// Memory for each table's latest writes, in bytes.
const MEMTABLE_BYTES: u64 = 4 * 1024 * 1024;
/// The most disk space for the storage engine's own write-ahead log, in bytes.
const JOURNALING_BYTES: u64 = 128 * 1024 * 1024;

const CHECKPOINT: &[u8] = b"checkpoint";
/// The key of the log's identity.
pub(super) const LOG_KEY: &[u8] = b"log";
const FORMAT_KEY: &[u8] = b"form";
/// The version of what the fold writes and of how entries are encoded. An index of another version, or
/// without one, is emptied and folded again.
const FORMAT: u8 = 3;
const TALLY_PREFIX: &[u8] = b"tally/";
const DEAD_PREFIX: &[u8] = b"dead/";

/// How far a lane's part of the log is matched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The last log sequence that is matched completely.
    pub(super) through: u64,
    /// The last log sequence that was ever matched in part; 0 if none was. It means nothing once `through`
    /// has reached it.
    pub(super) partial: u64,
}

impl Cursor {
    /// Returns the cursor after a part of a block, or its last part, was matched.
    pub(super) fn after(self, log_sequence: u64, more: bool) -> Self {
        if more {
            Self { partial: self.partial.max(log_sequence), ..self }
        } else {
            Self { through: log_sequence, ..self }
        }
    }

    /// Returns true if deliveries of this block may be known, although the cursor is before it. A term that
    /// ended between two parts leaves some. The next term may match earlier blocks first, because the
    /// configuration changed, and may end between two parts of one of them.
    pub(super) fn may_know(self, log_sequence: u64) -> bool {
        log_sequence <= self.partial
    }

    /// Returns the cursor after what is beyond this log sequence was lost.
    pub(super) fn back_to(self, log_sequence: u64) -> Self {
        Self { through: self.through.min(log_sequence), partial: self.partial.min(log_sequence) }
    }

    pub(super) fn encode(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.through.to_be_bytes());
        bytes[8..].copy_from_slice(&self.partial.to_be_bytes());
        bytes
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, IndexError> {
        Self::decode(bytes).ok_or(IndexError::Damaged("a cursor"))
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (through, partial) = bytes.split_first_chunk()?;
        let through = u64::from_be_bytes(*through);
        // Earlier releases wrote the first half only.
        let partial = if partial.is_empty() { 0 } else { u64::from_be_bytes(partial.try_into().ok()?) };
        Some(Self { through, partial })
    }
}

pub(super) struct Tables {
    pub(super) db: Database,
    /// Delivery key → [`DeliveryRow`].
    pub(super) deliveries: Keyspace,
    /// Queue key → [`QueueRow`](super::values::QueueRow), of open deliveries only.
    pub(super) queue: Keyspace,
    /// Delivery key and attempt number → `Attempt`, without its delivery.
    pub(super) attempts: Keyspace,
    /// Delivery keys of dead deliveries, without a value.
    pub(super) dead: Keyspace,
    /// Checkpoint, cursors, counts, and the index's format.
    pub(super) meta: Keyspace,
}

impl Tables {
    pub(super) fn open(folder: &Path) -> Result<Self, IndexError> {
        let db = Database::builder(folder)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNALING_BYTES)
            .worker_threads(1)
            .open()?;
        let table =
            |name| db.keyspace(name, || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES));
        let tables = Self {
            deliveries: table("deliveries")?,
            queue: table("queue")?,
            attempts: table("attempts")?,
            dead: table("dead")?,
            meta: table("meta")?,
            db,
        };
        tables.ensure_format()?;
        Ok(tables)
    }

    /// Empties an index that another release folded. The journal is then folded again.
    fn ensure_format(&self) -> Result<(), IndexError> {
        if self.meta.get(FORMAT_KEY)?.as_deref() == Some(&[FORMAT]) {
            return Ok(());
        }
        if self.checkpoint()?.is_some() {
            tracing::warn!("the delivery index is of another version and is folded anew");
        }
        self.wipe()
    }

    /// Makes the index look like one of a release before there were formats.
    #[cfg(test)]
    pub(super) fn remove_format(&self) -> Result<(), IndexError> {
        Ok(self.meta.remove(FORMAT_KEY)?)
    }

    /// Empties all tables. The checkpoint is removed first: without one, whatever a crash leaves is wiped
    /// again before it is used.
    pub(super) fn wipe(&self) -> Result<(), IndexError> {
        for table in [&self.meta, &self.queue, &self.deliveries, &self.attempts, &self.dead] {
            table.clear()?;
        }
        Ok(self.meta.insert(FORMAT_KEY, [FORMAT])?)
    }

    /// Returns how many deliveries of a destination are dead.
    pub(super) fn dead_of(&self, destination: &str) -> Result<u64, IndexError> {
        let value = self.meta.get(dead_key(destination))?;
        value.map_or(Ok(0), |value| decode_count(&value))
    }

    /// Returns how many deliveries are dead, by destination.
    pub(super) fn count_dead(&self) -> Result<HashMap<Name, u64>, IndexError> {
        let mut dead = HashMap::new();
        for entry in self.meta.prefix(DEAD_PREFIX) {
            let (key, value) = entry.into_inner()?;
            let name = key.strip_prefix(DEAD_PREFIX).and_then(|name| std::str::from_utf8(name).ok());
            let name = name.and_then(|name| name.parse().ok());
            dead.insert(name.ok_or(IndexError::Damaged("a destination's name"))?, decode_count(&value)?);
        }
        Ok(dead)
    }

    pub(super) fn checkpoint(&self) -> Result<Option<Checkpoint>, IndexError> {
        let Some(value) = self.meta.get(CHECKPOINT)? else {
            return Ok(None);
        };
        let parts = value.split_first_chunk().and_then(|(sequence, digest)| {
            Some(Checkpoint { sequence: u64::from_be_bytes(*sequence), digest: digest.try_into().ok()? })
        });
        parts.map(Some).ok_or(IndexError::Damaged("the checkpoint"))
    }

    /// Returns the identity of the log that the journal is about. Empty if no record names it yet.
    pub(super) fn log(&self) -> Result<String, IndexError> {
        let value = self.meta.get(LOG_KEY)?;
        let text = value.map(|value| String::from_utf8(value.to_vec())).transpose();
        Ok(text.map_err(|_| IndexError::Damaged("the log's name"))?.unwrap_or_default())
    }

    pub(super) fn cursor(&self, lane: Lane) -> Result<Cursor, IndexError> {
        let Some(value) = self.meta.get(cursor_key(lane))? else {
            return Ok(Cursor::default());
        };
        Cursor::read(&value)
    }

    pub(super) fn row(&self, delivery: &[u8]) -> Result<Option<DeliveryRow>, IndexError> {
        self.deliveries.get(delivery)?.map(|value| decode(&value, "a delivery")).transpose()
    }

    pub(super) fn tally(&self, source: &str) -> Result<SourceTally, IndexError> {
        let value = self.meta.get(tally_key(source))?;
        value.map_or(Ok(SourceTally::default()), |value| decode(&value, "a tally"))
    }
}

/// Returns the key and value of a checkpoint in the table `meta`.
pub(super) fn checkpoint_entry(checkpoint: Checkpoint) -> (&'static [u8], Vec<u8>) {
    (CHECKPOINT, [checkpoint.sequence.to_be_bytes().as_slice(), &checkpoint.digest].concat())
}

pub(super) fn cursor_key(lane: Lane) -> String {
    format!("cursor/{lane}")
}

/// Returns the key of the number of a destination's dead deliveries.
pub(super) fn dead_key(destination: &str) -> Vec<u8> {
    [DEAD_PREFIX, destination.as_bytes()].concat()
}

fn decode_count(value: &[u8]) -> Result<u64, IndexError> {
    value.try_into().map(u64::from_be_bytes).map_err(|_| IndexError::Damaged("a count"))
}

pub(super) fn tally_key(source: &str) -> Vec<u8> {
    [TALLY_PREFIX, source.as_bytes()].concat()
}

/// Returns the source whose deliveries a key of `meta` counts, if it is such a key.
pub(super) fn tally_source(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key.strip_prefix(TALLY_PREFIX)?).ok()
}

pub(super) fn tally_prefix() -> &'static [u8] {
    TALLY_PREFIX
}

pub(super) fn decode<T: Message + Default>(value: &[u8], what: &'static str) -> Result<T, IndexError> {
    T::decode(value).map_err(|_| IndexError::Damaged(what))
}
