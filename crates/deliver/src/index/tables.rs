//! The index's files.

use std::collections::HashMap;
use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use floodgate_event::{Lane, Name};
use prost::Message;

use super::row::{Row, Tally};
use super::{Checkpoint, IndexError};

/// Memory for blocks read from disk.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// Memory for each table's latest writes.
const MEMTABLE_BYTES: u64 = 4 * 1024 * 1024;
/// Disk for the storage engine's own write-ahead log.
const JOURNALING_BYTES: u64 = 128 * 1024 * 1024;

const CHECKPOINT: &[u8] = b"checkpoint";
/// Which log the journal is about.
pub(super) const LOG_KEY: &[u8] = b"log";
const FORM_KEY: &[u8] = b"form";
/// What the fold puts into the tables, and what entries are like.
/// An index of another form, or of none, is emptied and folded anew.
const FORM: u8 = 2;
const TALLY_PREFIX: &[u8] = b"tally/";
const DEAD_PREFIX: &[u8] = b"dead/";

/// How far a lane is matched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The last log sequence that is done.
    pub(super) through: u64,
    /// The one behind it of which a part is matched; 0 if none is.
    pub(super) begun: u64,
}

impl Cursor {
    /// Once a part of a block, or all that was left of it, is matched.
    pub(super) fn after(self, log_sequence: u64, more: bool) -> Self {
        if more { Self { begun: log_sequence, ..self } } else { Self { through: log_sequence, begun: 0 } }
    }

    pub(super) fn encode(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.through.to_be_bytes());
        bytes[8..].copy_from_slice(&self.begun.to_be_bytes());
        bytes
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, IndexError> {
        Self::decode(bytes).ok_or(IndexError::Damaged("a cursor"))
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (through, begun) = bytes.split_first_chunk()?;
        let through = u64::from_be_bytes(*through);
        // Earlier versions wrote the first half only.
        let begun = if begun.is_empty() { 0 } else { u64::from_be_bytes(begun.try_into().ok()?) };
        Some(Self { through, begun })
    }
}

pub(super) struct Tables {
    pub(super) db: Database,
    /// Delivery key → [`Row`].
    pub(super) deliveries: Keyspace,
    /// Queue key → [`QueueRow`](super::row::QueueRow), of open deliveries only.
    pub(super) queue: Keyspace,
    /// Delivery key and number → `Attempt`, its delivery left out.
    pub(super) attempts: Keyspace,
    /// Keys of dead deliveries.
    pub(super) dead: Keyspace,
    /// Checkpoint, cursors, tallies.
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
        tables.bring_to_form()?;
        Ok(tables)
    }

    /// Forgets what an earlier release folded; the journal is folded anew then.
    fn bring_to_form(&self) -> Result<(), IndexError> {
        if self.meta.get(FORM_KEY)?.as_deref() == Some(&[FORM]) {
            return Ok(());
        }
        if self.checkpoint()?.is_some() {
            tracing::warn!("the delivery index is of another version and is folded anew");
        }
        self.wipe()
    }

    /// Makes it look like one that an earlier release wrote.
    #[cfg(test)]
    pub(super) fn forget_form(&self) -> Result<(), IndexError> {
        Ok(self.meta.remove(FORM_KEY)?)
    }

    /// The checkpoint goes first: without one, whatever else is left is wiped again before it is used.
    pub(super) fn wipe(&self) -> Result<(), IndexError> {
        for table in [&self.meta, &self.queue, &self.deliveries, &self.attempts, &self.dead] {
            table.clear()?;
        }
        Ok(self.meta.insert(FORM_KEY, [FORM])?)
    }

    /// Dead deliveries of a destination.
    pub(super) fn dead_of(&self, destination: &str) -> Result<u64, IndexError> {
        let value = self.meta.get(dead_key(destination))?;
        value.map_or(Ok(0), |value| decode_count(&value))
    }

    /// Dead deliveries by destination.
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

    /// Empty if the journal does not say.
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

    pub(super) fn row(&self, delivery: &[u8]) -> Result<Option<Row>, IndexError> {
        self.deliveries.get(delivery)?.map(|value| decode(&value, "a delivery")).transpose()
    }

    pub(super) fn tally(&self, source: &str) -> Result<Tally, IndexError> {
        let value = self.meta.get(tally_key(source))?;
        value.map_or(Ok(Tally::default()), |value| decode(&value, "a tally"))
    }
}

/// The meta entry of a checkpoint.
pub(super) fn checkpoint_entry(checkpoint: Checkpoint) -> (&'static [u8], Vec<u8>) {
    (CHECKPOINT, [checkpoint.sequence.to_be_bytes().as_slice(), &checkpoint.digest].concat())
}

pub(super) fn cursor_key(lane: Lane) -> String {
    format!("cursor/{lane}")
}

/// Where a destination's dead deliveries are counted.
pub(super) fn dead_key(destination: &str) -> Vec<u8> {
    [DEAD_PREFIX, destination.as_bytes()].concat()
}

fn decode_count(value: &[u8]) -> Result<u64, IndexError> {
    value.try_into().map(u64::from_be_bytes).map_err(|_| IndexError::Damaged("a count"))
}

pub(super) fn tally_key(source: &str) -> Vec<u8> {
    [TALLY_PREFIX, source.as_bytes()].concat()
}

/// The source that a meta key tallies, if it is such a key.
pub(super) fn tally_source(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key.strip_prefix(TALLY_PREFIX)?).ok()
}

pub(super) fn tally_prefix() -> &'static [u8] {
    TALLY_PREFIX
}

pub(super) fn decode<T: Message + Default>(value: &[u8], what: &'static str) -> Result<T, IndexError> {
    T::decode(value).map_err(|_| IndexError::Damaged(what))
}
