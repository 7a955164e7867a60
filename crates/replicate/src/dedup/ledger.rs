//! The ledger: event ids on disk, and how far each region is replicated. It is a fold of the central log.
//!
//! It is an LSM tree (`fjall`), partitioned by the UTC day of the central append. The ids of a log block, the
//! cursor that it moves and the checkpoint are written as one batch, and only after the append's ack. So
//! everything in the ledger is in the log. If the checkpoint does not fit the log, the folder is emptied and
//! folded again.

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
use floodgate_event::{Digest256, EventId, time};

use self::cut::{CHECKPOINT_KEY, cursor_key, encode_checkpoint, encode_cursor, moved_cursor, read_cut};

pub use self::cut::{Checkpoint, Cut};
use self::days::Days;
pub use super::error::LedgerError;
use super::quarantine::Quarantine;
use super::value::{Position, SeenEvent};

/// Memory for blocks that were read from disk, in bytes.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// The most disk space for write-ahead logs, in bytes. They hold every write, also to days that were dropped
/// since.
const JOURNAL_BYTES: u64 = 128 * 1024 * 1024;
const FORM_KEY: &[u8] = b"form";
/// The version of the keyspaces and of what the fold writes. It is written with the first checkpoint. A
/// ledger with another version, or without one, lacks what this version folds. Version 2 added the quarantine
/// index.
const FORM: u8 = 2;
const META: &str = "meta";

/// The ids and cursors of one shard's central log.
pub struct Ledger {
    database: Database,
    meta: Keyspace,
    days: RwLock<Days>,
    quarantine: Quarantine,
    cut: RwLock<Cut>,
    /// The last message that this process skipped because it cannot be decoded.
    skipped: AtomicU64,
}

impl Ledger {
    /// Opens the folder, or creates it. A ledger in another form than this version's is emptied.
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
        let ledger = Self { database, meta, days, quarantine, cut, skipped: AtomicU64::new(0) };
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

    /// Empties the ledger. It must then be folded again from the log's first message.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn wipe(&self) -> Result<(), LedgerError> {
        let mut days = self.days.write().unwrap_or_else(PoisonError::into_inner);
        days.clear(&self.database)?;
        self.quarantine.clear()?;
        // Last, so that a wipe that a crash cut off is begun again: until then checkpoint or form does not
        // fit.
        self.meta.clear()?;
        *self.cut.write().unwrap_or_else(PoisonError::into_inner) =
            Cut { checkpoint: None, cursors: HashMap::new() };
        self.skipped.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// The last message of the log that was folded, or that this process skipped.
    pub fn read_through(&self) -> u64 {
        let folded = self.cut().checkpoint.map_or(0, |checkpoint| checkpoint.sequence);
        folded.max(self.skipped.load(Ordering::Relaxed))
    }

    /// Records that the log message at `sequence` cannot be decoded, and so is not folded.
    pub(crate) fn skip(&self, sequence: u64) {
        self.skipped.fetch_max(sequence, Ordering::Relaxed);
    }

    /// How far the log is folded and the feeds are replicated, read at the same moment.
    pub fn cut(&self) -> Cut {
        self.cut.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The index of quarantined events.
    pub fn quarantine(&self) -> &Quarantine {
        &self.quarantine
    }

    /// Returns what is known of an event: the copy that claims its id, or else the last one seen.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn find(&self, id: EventId) -> Result<Option<SeenEvent>, LedgerError> {
        let mut seen = None;
        for keyspace in self.days.read().unwrap_or_else(PoisonError::into_inner).newest_first() {
            let Some(bytes) = keyspace.get(id.as_bytes())? else { continue };
            let known = SeenEvent::decode(&bytes).ok_or(LedgerError::Value)?;
            if known.claims {
                return Ok(Some(known));
            }
            seen = seen.or(Some(known));
        }
        Ok(seen)
    }

    /// Folds the log message at `sequence`. Messages at or before the checkpoint are ignored.
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
        // If a crash keeps a day from being dropped here, the next `Forget` drops it.
        if let Some(Content::Forget(forget)) = &block.content {
            self.days_mut().drop_before(forget.before_day, &self.database, &self.meta)?;
        }
        Ok(())
    }

    /// Returns what a replica says about ids. An id that is claimed keeps its position, and a flagged
    /// duplicate records that its sample is kept. If a block has several copies of an id, only the last one
    /// is returned, because a batch that writes a key twice has no order.
    fn learned(&self, sequence: u64, replica: &Replica) -> Result<BTreeMap<EventId, SeenEvent>, LedgerError> {
        let mut learned: BTreeMap<EventId, SeenEvent> = BTreeMap::new();
        for (index, entry) in replica.entries.iter().enumerate() {
            let Some(verdict) = &entry.verdict else { continue };
            let Ok(id) = EventId::try_from(&*verdict.event_id) else { continue };
            if verdict.sample.is_some() {
                // The first copy may be in this same block.
                let known = match learned.get(&id) {
                    Some(known) => Some(*known),
                    None => self.find(id)?,
                };
                learned.extend(known.map(|known| (id, SeenEvent { sampled: true, ..known })));
                continue;
            }
            let Some(event) = &entry.event else { continue };
            let position = Position { sequence, index: u32::try_from(index).unwrap_or(u32::MAX) };
            learned.insert(id, SeenEvent::new(event, position, claims(verdict, event)));
        }
        Ok(learned)
    }

    /// Returns true if a [`Forget`](proto::Forget) of this day would drop some.
    pub fn has_before(&self, day: u32) -> bool {
        self.days.read().unwrap_or_else(PoisonError::into_inner).has_before(day)
    }

    /// The number of days that it holds.
    pub fn days(&self) -> usize {
        self.days.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The number of bytes that it takes on disk.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn disk_bytes(&self) -> Result<u64, LedgerError> {
        Ok(self.database.disk_space()?)
    }

    /// Syncs what was folded to disk. This is not needed for correctness: whatever a power cut takes is
    /// folded again.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn persist(&self) -> Result<(), LedgerError> {
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }

    /// Makes the ledger look as if an earlier version had written it.
    #[cfg(test)]
    pub(super) fn forget_form(&self) -> Result<(), LedgerError> {
        Ok(self.meta.remove(FORM_KEY)?)
    }

    fn days_mut(&self) -> RwLockWriteGuard<'_, Days> {
        self.days.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns true if this entry makes later copies duplicates. Stored events do. So do parents that a split
/// replaced, so that a parent and its children are claimed as one.
pub(super) fn claims(verdict: &proto::Verdict, event: &proto::Event) -> bool {
    match verdict.kind() {
        Kind::Stored => true,
        Kind::Filtered => is_split_parent(event),
        Kind::Duplicate | Kind::Responded | Kind::Quarantined | Kind::Unspecified => false,
    }
}

/// Returns true if a handler replaced the event by its children.
pub(super) fn is_split_parent(event: &proto::Event) -> bool {
    event.handlers.last().is_some_and(|run| run.outcome == "split")
}

#[cfg(test)]
mod tests;
