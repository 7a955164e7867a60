//! The delivery index: the state of all deliveries of a shard, on this host's disk.
//!
//! It holds every delivery with its state and attempts, the queue of open deliveries by due time, dead
//! letters, totals, and each lane's cursor. All of it is computed from the messages of the journal. Workers
//! find their deliveries here, and the API reads its answers from it.
//!
//! Each journal message is folded by one atomic batch that also moves the checkpoint. So a crash at any
//! moment leaves the index exactly at some message of the journal. Nothing is synced to disk: what a power
//! cut takes is folded again, and an index that does not fit the journal is rebuilt from it.

pub(crate) mod dead_letters;
mod due;
mod fold;
mod key;
mod query;
mod routing;
mod storage;
#[cfg(test)]
mod tests;
mod truncate;
mod values;
mod view;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use floodgate_event::proto::Record;
use floodgate_event::proto::record::Record as Kind;
use floodgate_event::{Lane, Name, ShardId};
use tokio::sync::Notify;

pub(crate) use due::{OpenDelivery, Page, Queue, Scan};
pub(crate) use key::DeliveryId;

use fold::{BacklogChange, Changes};
use storage::Tables;

/// The index of one shard's deliveries.
///
/// Most methods read or write files, so they block. Call them from threads that may block.
pub struct DeliveryIndex {
    tables: Tables,
    /// Held while a message is folded, so that there is one fold at a time.
    folding: Mutex<()>,
    /// What is kept in memory for each destination.
    destinations: Mutex<HashMap<Name, DestinationState>>,
}

/// A destination's backlog, and who waits for it to change.
#[derive(Default)]
struct DestinationState {
    backlog: Backlog,
    wake: Arc<Notify>,
}

/// How many deliveries of a destination were not taken by their consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Deliveries that are open: not attempted yet, or to be attempted again.
    pub open: u64,
    /// Deliveries that were given up after the last attempt, or after an answer of 410.
    pub dead: u64,
}

/// A message of the journal that is to be folded.
#[derive(Debug)]
pub(crate) struct JournalMessage {
    /// The message's sequence in the journal stream.
    pub(crate) sequence: u64,
    /// SHA-256 of the message's payload.
    pub(crate) digest: [u8; 32],
    /// The records of the block that it carries.
    pub(crate) records: Vec<Record>,
}

/// The last journal message that an index was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The message's sequence in the journal stream.
    pub sequence: u64,
    /// SHA-256 of the message's payload. It tells one journal from another.
    pub digest: [u8; 32],
}

impl DeliveryIndex {
    /// Opens the index of a shard in `<state_dir>/deliveries-<shard>`, or creates an empty one there.
    ///
    /// # Errors
    /// If the folder cannot be read or written, or another process has it open.
    pub fn open(state_dir: &Path, shard: ShardId) -> Result<Self, IndexError> {
        let tables = Tables::open(&state_dir.join(format!("deliveries-{shard}")))?;
        let index = Self { tables, folding: Mutex::default(), destinations: Mutex::default() };
        for (destination, open) in index.count_open()? {
            index.lock_destinations().entry(destination).or_default().backlog.open = open;
        }
        for (destination, dead) in index.tables.count_dead()? {
            index.lock_destinations().entry(destination).or_default().backlog.dead = dead;
        }
        Ok(index)
    }

    /// Returns the last journal message that was folded, or none if the index is empty.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>, IndexError> {
        self.tables.checkpoint()
    }

    /// Returns the last log sequence that this lane has matched completely, or 0 before the first.
    pub fn cursor(&self, lane: Lane) -> Result<u64, IndexError> {
        Ok(self.tables.cursor(lane)?.through)
    }

    /// Returns the identity of the log that the journal is about. Empty if no record names it yet.
    pub fn log(&self) -> Result<String, IndexError> {
        self.tables.log()
    }

    /// Folds a journal message. One that was folded before is ignored.
    pub(crate) fn apply(&self, message: &JournalMessage) -> Result<(), IndexError> {
        let _folding = self.folding.lock().unwrap_or_else(PoisonError::into_inner);
        if self.checkpoint()?.is_some_and(|checkpoint| checkpoint.sequence >= message.sequence) {
            return Ok(());
        }
        for record in &message.records {
            if let Some(Kind::Continued(continued)) = &record.record {
                let closed = truncate::forget_after(&self.tables, continued.through)?;
                self.change_backlogs(closed);
            }
        }
        let mut changes = Changes::new(&self.tables, message.sequence);
        for record in &message.records {
            changes.add(record)?;
        }
        let checkpoint = Checkpoint { sequence: message.sequence, digest: message.digest };
        let backlogs = changes.commit(checkpoint)?;
        self.change_backlogs(backlogs);
        Ok(())
    }

    fn change_backlogs(&self, changes: BTreeMap<Name, BacklogChange>) {
        let mut destinations = self.lock_destinations();
        for (destination, change) in changes {
            let DestinationState { backlog, wake } = destinations.entry(destination).or_default();
            backlog.open = backlog.open.saturating_add_signed(change.open);
            backlog.dead = backlog.dead.saturating_add_signed(change.dead);
            wake.notify_one();
        }
    }

    /// Empties the index, so that it can be folded again from the journal's first message.
    pub(crate) fn wipe(&self) -> Result<(), IndexError> {
        let _folding = self.folding.lock().unwrap_or_else(PoisonError::into_inner);
        self.tables.wipe()?;
        self.lock_destinations().values_mut().for_each(|state| state.backlog = Backlog::default());
        Ok(())
    }

    /// Returns what is notified whenever a delivery of this destination was opened, closed or put off.
    pub(crate) fn wake(&self, destination: &Name) -> Arc<Notify> {
        Arc::clone(&self.lock_destinations().entry(destination.clone()).or_default().wake)
    }

    /// Returns how many deliveries of a destination are open, and how many are dead.
    pub fn backlog(&self, destination: &Name) -> Backlog {
        self.lock_destinations().get(destination).map(|state| state.backlog).unwrap_or_default()
    }

    /// Returns the destinations that have open deliveries.
    pub(crate) fn open_destinations(&self) -> Vec<Name> {
        let destinations = self.lock_destinations();
        let open = destinations.iter().filter(|(_, state)| state.backlog.open > 0);
        open.map(|(name, _)| name.clone()).collect()
    }

    fn lock_destinations(&self) -> MutexGuard<'_, HashMap<Name, DestinationState>> {
        self.destinations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why the index cannot be used: the disk failed, or its files are damaged.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The files cannot be read or written.
    #[error("the delivery index cannot be read or written")]
    Storage(#[from] fjall::Error),
    /// An entry cannot be decoded. Delete the index's folder to have it rebuilt from the journal.
    #[error("the delivery index is damaged: {0} cannot be read")]
    Damaged(&'static str),
}
