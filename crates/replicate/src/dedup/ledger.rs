//! The ledger: event ids on disk, and how far each region is replicated. A fold of the central log.
//!
//! An LSM tree (`fjall`), partitioned by the UTC day of the central append. A log block's ids, the cursor it
//! moves and the checkpoint go in as one batch, after the append's ack and never before: what the ledger says
//! is in the log. If the checkpoint does not fit the log, the folder is emptied and folded anew.

mod cut;
mod days;

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use floodgate_event::proto::log_block::Content;
use floodgate_event::proto::verdict::Kind;
use floodgate_event::proto::{self, LogBlock, Replica};
use floodgate_event::snapshot::Digest256;
use floodgate_event::{EventId, time};

use self::cut::{CHECKPOINT_KEY, cursor_key, encode_checkpoint, encode_cursor, moved_cursor, read_cut};

pub use self::cut::{Checkpoint, Cursor, Cut, Feed};
use self::days::Days;
use super::quarantine::Quarantine;
use super::value::{Known, Position};

/// Bytes of blocks kept in memory for lookups.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes of write-ahead logs from which on their oldest are given back.
/// They hold every write, of days that are dropped too.
const JOURNAL_BYTES: u64 = 128 * 1024 * 1024;
const FORM_KEY: &[u8] = b"form";
/// Which keyspaces there are and what the fold puts into them. Written with the first checkpoint; a ledger
/// with another one, or with none, lacks what this version folds. 2: what is quarantined.
const FORM: u8 = 2;
const META: &str = "meta";

/// The index of one shard's central log.
pub struct Ledger {
    database: Database,
    meta: Keyspace,
    days: RwLock<Days>,
    quarantine: Quarantine,
    cut: RwLock<Cut>,
    /// The last message that this process passed over as it cannot be decoded.
    passed_over: AtomicU64,
}

impl Ledger {
    /// Opens the folder, or makes it. What is there in another form than this version's is forgotten.
    ///
    /// # Errors
    /// If the disk fails or another process has it open.
    pub fn open(folder: &Path) -> Result<Self, LedgerError> {
        let builder = Database::builder(folder).cache_size(CACHE_BYTES).max_journaling_size(JOURNAL_BYTES);
        let database = builder.worker_threads(1).open()?;
        let meta = database.keyspace(META, KeyspaceCreateOptions::default)?;
        let days = RwLock::new(Days::open(&database, &meta)?);
        let quarantine = Quarantine::open(&database)?;
        let cut = RwLock::new(read_cut(&meta)?);
        let ledger = Self { database, meta, days, quarantine, cut, passed_over: AtomicU64::new(0) };
        if ledger.is_of_another_form()? {
            tracing::warn!("the ledger is of another version and is folded anew");
            ledger.wipe()?;
        }
        Ok(ledger)
    }

    fn is_of_another_form(&self) -> Result<bool, LedgerError> {
        let form = self.meta.get(FORM_KEY)?;
        Ok(self.cut().checkpoint.is_some() && form.as_deref() != Some(&[FORM]))
    }

    /// Forgets everything; what follows is a fold from the log's first message.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn wipe(&self) -> Result<(), LedgerError> {
        let mut days = self.days.write().unwrap_or_else(PoisonError::into_inner);
        days.clear(&self.database)?;
        self.quarantine.clear()?;
        // Last: a wipe that ends early is begun again, because checkpoint or form still does not fit.
        self.meta.clear()?;
        *self.cut.write().unwrap_or_else(PoisonError::into_inner) =
            Cut { checkpoint: None, cursors: HashMap::new() };
        self.passed_over.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// The last message of the log that is folded, or was passed over since this process began.
    pub fn read_through(&self) -> u64 {
        let folded = self.cut().checkpoint.map_or(0, |checkpoint| checkpoint.sequence);
        folded.max(self.passed_over.load(Ordering::Relaxed))
    }

    /// Notes that the log message at `sequence` cannot be folded.
    pub(crate) fn pass_over(&self, sequence: u64) {
        self.passed_over.fetch_max(sequence, Ordering::Relaxed);
    }

    /// How far the log is folded and the feeds are replicated, both at the same moment.
    pub fn cut(&self) -> Cut {
        self.cut.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Which events are quarantined.
    pub fn quarantine(&self) -> &Quarantine {
        &self.quarantine
    }

    /// What is known of an event: where it claims its id, else where it was last seen.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn find(&self, id: EventId) -> Result<Option<Known>, LedgerError> {
        let mut seen = None;
        for keyspace in self.days.read().unwrap_or_else(PoisonError::into_inner).newest_first() {
            let Some(bytes) = keyspace.get(id.as_bytes())? else { continue };
            let known = Known::decode(&bytes).ok_or(LedgerError::Value)?;
            if known.claims {
                return Ok(Some(known));
            }
            seen = seen.or(Some(known));
        }
        Ok(seen)
    }

    /// Folds the log message at `sequence`. Messages at or before the checkpoint are passed over.
    ///
    /// # Errors
    /// If the disk fails; then nothing of the message is in the ledger.
    pub fn apply(&self, sequence: u64, payload: &[u8], block: &LogBlock) -> Result<(), LedgerError> {
        let before = self.cut();
        if before.checkpoint.is_some_and(|checkpoint| sequence <= checkpoint.sequence) {
            return Ok(());
        }
        let checkpoint =
            Checkpoint { sequence, hash: Digest256::of(payload), appended_at_us: block.appended_at_us };
        let moved = moved_cursor(block);

        let mut batch = self.database.batch();
        batch.insert(&self.meta, CHECKPOINT_KEY, encode_checkpoint(&checkpoint));
        if before.checkpoint.is_none() {
            batch.insert(&self.meta, FORM_KEY, [FORM]);
        }
        if let Some((feed, cursor)) = &moved {
            batch.insert(&self.meta, cursor_key(feed), encode_cursor(cursor));
        }
        let today = time::unix_day(block.appended_at_us);
        if before.checkpoint.is_some_and(|last| today < time::unix_day(last.appended_at_us)) {
            self.days_mut().note_ahead(today, &mut batch, &self.meta);
        }
        if let Some(Content::Replica(replica)) = &block.content {
            let day = self.days_mut().enter(today, &self.database, &mut batch, &self.meta)?;
            for (id, known) in self.learned(sequence, replica)? {
                batch.insert(&day, id.as_bytes(), known.encode());
            }
            self.quarantine.fold(&mut batch, sequence, block.appended_at_us, replica)?;
        }
        batch.commit()?;

        let mut cut = self.cut.write().unwrap_or_else(PoisonError::into_inner);
        cut.checkpoint = Some(checkpoint);
        cut.cursors.extend(moved);
        drop(cut);
        // What a crash keeps from being dropped here goes with the next block of this kind.
        if let Some(Content::Forget(forget)) = &block.content {
            self.days_mut().drop_before(forget.before_day, &self.database, &self.meta)?;
        }
        Ok(())
    }

    /// What a replica teaches of ids. An id that is claimed already stays where it is; a flagged duplicate
    /// notes that its sample is kept. Of several copies in one block the last counts: a batch says one thing
    /// of a key, as what it says twice has no order.
    fn learned(&self, sequence: u64, replica: &Replica) -> Result<BTreeMap<EventId, Known>, LedgerError> {
        let mut learned: BTreeMap<EventId, Known> = BTreeMap::new();
        for (index, entry) in replica.entries.iter().enumerate() {
            let Some(verdict) = &entry.verdict else { continue };
            let Ok(id) = EventId::try_from(&*verdict.event_id) else { continue };
            if verdict.sample.is_some() {
                // The first copy may stand in this very block.
                let known = match learned.get(&id) {
                    Some(known) => Some(*known),
                    None => self.find(id)?,
                };
                learned.extend(known.map(|known| (id, Known { sampled: true, ..known })));
                continue;
            }
            let Some(event) = &entry.event else { continue };
            let position = Position { sequence, index: u32::try_from(index).unwrap_or(u32::MAX) };
            learned.insert(id, Known::new(event, position, claims(verdict, event)));
        }
        Ok(learned)
    }

    /// Whether there are days that a [`Forget`](proto::Forget) of this one would drop.
    pub fn has_before(&self, day: u32) -> bool {
        self.days.read().unwrap_or_else(PoisonError::into_inner).has_before(day)
    }

    /// Days that it holds.
    pub fn days(&self) -> usize {
        self.days.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Bytes that it takes on the disk.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn disk_bytes(&self) -> Result<u64, LedgerError> {
        Ok(self.database.disk_space()?)
    }

    /// Makes sure that what was folded survives a power cut. Not needed for correctness:
    /// what is lost is folded again.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn persist(&self) -> Result<(), LedgerError> {
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }

    /// Makes it look like one that an earlier version wrote.
    #[cfg(test)]
    pub(super) fn forget_form(&self) -> Result<(), LedgerError> {
        Ok(self.meta.remove(FORM_KEY)?)
    }

    fn days_mut(&self) -> RwLockWriteGuard<'_, Days> {
        self.days.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether this entry makes later copies duplicates: stored events do, and parents that a split replaced, so
/// that parent and children are claimed as one.
pub(super) fn claims(verdict: &proto::Verdict, event: &proto::Event) -> bool {
    match verdict.kind() {
        Kind::Stored => true,
        Kind::Filtered => is_split_parent(event),
        Kind::Duplicate | Kind::Responded | Kind::Quarantined | Kind::Unspecified => false,
    }
}

/// Whether a handler replaced the event by its children.
pub(super) fn is_split_parent(event: &proto::Event) -> bool {
    event.handlers.last().is_some_and(|run| run.outcome == "split")
}

/// Why the ledger could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The disk's, or the tree's.
    #[error("ledger: {0}")]
    Tree(#[from] fjall::Error),
    /// A value of another form than this version writes.
    #[error("ledger: a value that this version cannot read")]
    Value,
}

#[cfg(test)]
mod tests;
