//! The delivery index: what the journal adds up to.
//!
//! It holds every delivery with its state, the queue of open ones by due time, attempts, dead letters,
//! totals and each lane's cursor, all on disk. One journal message is folded in by one atomic batch that
//! also moves the checkpoint, so a crash at any moment leaves the index at some message of the journal.
//! It is not synced: what a power cut takes is folded in again, and an index that does not fit the
//! journal is rebuilt from it.

mod fold;
mod key;
mod query;
mod queue;
mod rewind;
mod routing;
mod row;
mod tables;
#[cfg(test)]
mod tests;
pub mod view;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use floodgate_event::proto::Record;
use floodgate_event::proto::record::Record as Kind;
use floodgate_event::{Lane, Name};
use tokio::sync::Notify;

pub(crate) use key::DeliveryId;
pub(crate) use queue::{Page, Queue, Queued, Scan};

use fold::{Fold, Moved};
use tables::Tables;

/// The index of one shard's deliveries.
///
/// Its methods read and write files: callers on an async runtime's threads should expect disk latency.
pub struct DeliveryIndex {
    tables: Tables,
    /// One fold at a time.
    folding: Mutex<()>,
    /// By destination; as many as there are destinations.
    backlogs: Mutex<HashMap<Name, Backlog>>,
}

/// What is open for one destination, and what is dead.
#[derive(Default)]
struct Backlog {
    open: u64,
    dead: u64,
    wake: Arc<Notify>,
}

/// Deliveries of a destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Open: not attempted yet, or to be attempted again.
    pub open: u64,
    /// Given up after the last attempt, or after an answer of 410.
    pub dead: u64,
}

/// A message of the journal, as it is folded in.
#[derive(Debug)]
pub(crate) struct JournalMessage {
    /// Its sequence in the journal stream.
    pub(crate) sequence: u64,
    /// SHA-256 of its payload.
    pub(crate) digest: [u8; 32],
    /// What it records.
    pub(crate) records: Vec<Record>,
}

/// How far the index got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Sequence of the last journal message that was folded in.
    pub sequence: u64,
    /// SHA-256 of its payload.
    pub digest: [u8; 32],
}

impl DeliveryIndex {
    /// Opens the index of a shard in `<state_dir>/deliveries-<shard>`, or begins an empty one.
    ///
    /// # Errors
    /// If the folder cannot be read or written, or another process has it open.
    pub fn open(state_dir: &Path, shard: u32) -> Result<Self, IndexError> {
        let tables = Tables::open(&state_dir.join(format!("deliveries-{shard}")))?;
        let index = Self { tables, folding: Mutex::default(), backlogs: Mutex::default() };
        for (destination, open) in index.count_open()? {
            index.lock_backlogs().entry(destination).or_default().open = open;
        }
        for (destination, dead) in index.tables.count_dead()? {
            index.lock_backlogs().entry(destination).or_default().dead = dead;
        }
        Ok(index)
    }

    /// How far the index got; none if it is empty.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>, IndexError> {
        self.tables.checkpoint()
    }

    /// The last log sequence that this lane's reader is done with; 0 before the first.
    pub fn cursor(&self, lane: Lane) -> Result<u64, IndexError> {
        Ok(self.tables.cursor(lane)?.through)
    }

    /// Which log the journal is about; empty if it does not say yet.
    pub fn log(&self) -> Result<String, IndexError> {
        self.tables.log()
    }

    /// Folds in a journal message; one that was folded in before is ignored.
    pub(crate) fn apply(&self, message: &JournalMessage) -> Result<(), IndexError> {
        let _folding = self.folding.lock().unwrap_or_else(PoisonError::into_inner);
        if self.checkpoint()?.is_some_and(|checkpoint| checkpoint.sequence >= message.sequence) {
            return Ok(());
        }
        for record in &message.records {
            if let Some(Kind::Continued(continued)) = &record.record {
                let closed = rewind::forget_behind(&self.tables, continued.through)?;
                self.change_backlogs(closed);
            }
        }
        let mut fold = Fold::new(&self.tables, message.sequence);
        for record in &message.records {
            fold.record(record)?;
        }
        let checkpoint = Checkpoint { sequence: message.sequence, digest: message.digest };
        let changes = fold.commit(checkpoint)?;
        self.change_backlogs(changes);
        Ok(())
    }

    fn change_backlogs(&self, changes: BTreeMap<Name, Moved>) {
        let mut backlogs = self.lock_backlogs();
        for (destination, moved) in changes {
            let backlog = backlogs.entry(destination).or_default();
            backlog.open = backlog.open.saturating_add_signed(moved.open);
            backlog.dead = backlog.dead.saturating_add_signed(moved.dead);
            backlog.wake.notify_one();
        }
    }

    /// Forgets everything, to be folded anew from the journal's first message.
    pub(crate) fn wipe(&self) -> Result<(), IndexError> {
        let _folding = self.folding.lock().unwrap_or_else(PoisonError::into_inner);
        self.tables.wipe()?;
        self.lock_backlogs().values_mut().for_each(|backlog| (backlog.open, backlog.dead) = (0, 0));
        Ok(())
    }

    /// Notified whenever deliveries of this destination were opened, closed or put off.
    pub(crate) fn wake(&self, destination: &Name) -> Arc<Notify> {
        Arc::clone(&self.lock_backlogs().entry(destination.clone()).or_default().wake)
    }

    /// Open and dead deliveries of a destination.
    pub fn waiting(&self, destination: &Name) -> Waiting {
        let backlogs = self.lock_backlogs();
        let waiting = |backlog: &Backlog| Waiting { open: backlog.open, dead: backlog.dead };
        backlogs.get(destination).map(waiting).unwrap_or_default()
    }

    /// The destinations that have open deliveries.
    pub(crate) fn open_destinations(&self) -> Vec<Name> {
        let backlogs = self.lock_backlogs();
        backlogs.iter().filter(|(_, backlog)| backlog.open > 0).map(|(name, _)| name.clone()).collect()
    }

    fn lock_backlogs(&self) -> MutexGuard<'_, HashMap<Name, Backlog>> {
        self.backlogs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why the index cannot be used: the disk's fault, or damage to the files.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The files cannot be read or written.
    #[error("the delivery index cannot be read or written")]
    Storage(#[from] fjall::Error),
    /// An entry is not what was written. Deleting the folder has the index rebuilt.
    #[error("the delivery index is damaged: {0} cannot be read")]
    Damaged(&'static str),
}
