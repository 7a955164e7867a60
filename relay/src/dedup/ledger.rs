//! The ledger: event ids on disk, and how far each region is replicated. A fold of the central log.
//!
//! An LSM tree (`fjall`), partitioned by the UTC day of the central append. A log block's ids, the cursor it moves and
//! the checkpoint go in as one batch, after the append's ack and never before: what the ledger says is in the log.
//! If the checkpoint does not fit the log, the folder is emptied and folded anew.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use floodgate_event::proto::log_block::Content;
use floodgate_event::proto::verdict::Kind;
use floodgate_event::proto::{self, LogBlock, Replica};
use floodgate_event::snapshot::Digest256;
use floodgate_event::{EventId, Lane, time};

use super::quarantine::Quarantine;
use super::value::{Known, Position};

/// Bytes of blocks kept in memory for lookups.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes of writes of one day kept in memory.
const MEMTABLE_BYTES: u64 = 4 * 1024 * 1024;
const CHECKPOINT_KEY: &[u8] = b"checkpoint";
const CURSOR_PREFIX: &str = "cursor/";
const FORM_KEY: &[u8] = b"form";
/// Which keyspaces there are and what the fold puts into them. Written with the first checkpoint; a ledger with another
/// one, or with none, lacks what this version folds. 2: what is quarantined.
const FORM: u8 = 2;
const META: &str = "meta";
const DAY_PREFIX: &str = "day-";

/// How far the log is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last folded message.
    pub sequence: u64,
    /// The SHA-256 of its payload.
    pub hash: Digest256,
    /// When it was appended, by the writer's clock; Unix time in microseconds.
    pub appended_at_us: u64,
}

/// Whose stream a cursor is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Feed {
    /// The region's name.
    pub region: String,
    /// The lane.
    pub lane: Lane,
}

/// How far a feed is replicated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The stream's incarnation.
    pub incarnation: String,
    /// Its last replicated message.
    pub sequence: u64,
}

/// The cut at which books are taken: everything that one checkpoint stands for.
#[derive(Clone, Debug)]
pub struct Cut {
    /// How far the log is folded; `None` before its first message.
    pub checkpoint: Option<Checkpoint>,
    /// How far each feed is replicated.
    pub cursors: HashMap<Feed, Cursor>,
}

/// The index of one shard's central log.
pub struct Ledger {
    database: Database,
    meta: Keyspace,
    days: RwLock<BTreeMap<u32, Keyspace>>,
    quarantine: Quarantine,
    cut: RwLock<Cut>,
}

impl Ledger {
    /// Opens the folder, or makes it. What is there in another form than this version's is forgotten.
    ///
    /// # Errors
    /// If the disk fails or another process has it open.
    pub fn open(folder: &Path) -> Result<Self, LedgerError> {
        let database = Database::builder(folder).cache_size(CACHE_BYTES).worker_threads(1).open()?;
        let meta = database.keyspace(META, KeyspaceCreateOptions::default)?;
        let mut days = BTreeMap::new();
        for name in database.list_keyspace_names() {
            if let Some(day) = name.strip_prefix(DAY_PREFIX).and_then(|day| day.parse().ok()) {
                days.insert(day, open_day(&database, day)?);
            }
        }
        let quarantine = Quarantine::open(&database)?;
        let cut = RwLock::new(read_cut(&meta)?);
        let ledger = Self { database, meta, days: RwLock::new(days), quarantine, cut };
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
        for (_, keyspace) in std::mem::take(&mut *days) {
            self.database.delete_keyspace(keyspace)?;
        }
        self.quarantine.clear()?;
        // Last: a wipe that ends early is begun again, because checkpoint or form still does not fit.
        self.meta.clear()?;
        *self.cut.write().unwrap_or_else(PoisonError::into_inner) =
            Cut { checkpoint: None, cursors: HashMap::new() };
        Ok(())
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
        for keyspace in self.days.read().unwrap_or_else(PoisonError::into_inner).values().rev() {
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
        if let Some(Content::Replica(replica)) = &block.content {
            let day = self.day(time::unix_day(block.appended_at_us))?;
            for (id, known) in self.learned(sequence, replica)? {
                batch.insert(&day, id.as_bytes(), known.encode());
            }
            self.quarantine.fold(&mut batch, sequence, block.appended_at_us, replica)?;
        }
        batch.commit()?;

        let mut cut = self.cut.write().unwrap_or_else(PoisonError::into_inner);
        cut.checkpoint = Some(checkpoint);
        cut.cursors.extend(moved);
        Ok(())
    }

    /// What a replica teaches of ids. An id that is claimed already stays where it is; a flagged duplicate notes that
    /// its sample is kept.
    fn learned(&self, sequence: u64, replica: &Replica) -> Result<Vec<(EventId, Known)>, LedgerError> {
        let mut learned: Vec<(EventId, Known)> = Vec::with_capacity(replica.entries.len());
        for (index, entry) in replica.entries.iter().enumerate() {
            let Some(verdict) = &entry.verdict else { continue };
            let Ok(id) = EventId::try_from(&*verdict.event_id) else { continue };
            if verdict.sample.is_some() {
                // The first copy may stand in this very block.
                let here = learned.iter().rev().find(|(known, _)| *known == id).map(|(_, known)| *known);
                let known = match here {
                    Some(known) => Some(known),
                    None => self.find(id)?,
                };
                learned.extend(known.map(|known| (id, Known { sampled: true, ..known })));
                continue;
            }
            let Some(event) = &entry.event else { continue };
            let position = Position { sequence, index: u32::try_from(index).unwrap_or(u32::MAX) };
            learned.push((id, Known::new(event, position, claims(verdict, event))));
        }
        Ok(learned)
    }

    /// Drops the days before `day`. The caller knows that no region can still send a copy of theirs.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn drop_days_before(&self, day: u32) -> Result<(), LedgerError> {
        let mut days = self.days.write().unwrap_or_else(PoisonError::into_inner);
        let kept = days.split_off(&day);
        for (day, keyspace) in std::mem::replace(&mut *days, kept) {
            tracing::info!(day, "ledger day dropped");
            self.database.delete_keyspace(keyspace)?;
        }
        Ok(())
    }

    /// Makes sure that what was folded survives a power cut. Not needed for correctness: what is lost is folded again.
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

    fn day(&self, day: u32) -> Result<Keyspace, LedgerError> {
        if let Some(keyspace) = self.days.read().unwrap_or_else(PoisonError::into_inner).get(&day) {
            return Ok(keyspace.clone());
        }
        let keyspace = open_day(&self.database, day)?;
        self.days.write().unwrap_or_else(PoisonError::into_inner).insert(day, keyspace.clone());
        Ok(keyspace)
    }
}

/// Whether this entry makes later copies duplicates: stored events do, and parents that a split replaced, so that
/// parent and children are claimed as one.
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

fn moved_cursor(block: &LogBlock) -> Option<(Feed, Cursor)> {
    let (region, lane, cursor) = match block.content.as_ref()? {
        Content::Replica(replica) => {
            let origin = replica.origin.as_ref()?;
            let cursor = Cursor { incarnation: origin.incarnation.clone(), sequence: origin.sequence };
            (&origin.region, origin.lane, cursor)
        }
        Content::Incarnation(new) => {
            (&new.region, new.lane, Cursor { incarnation: new.current.clone(), sequence: 0 })
        }
        Content::Fence(_) | Content::Purge(_) => return None,
    };
    Some((Feed { region: region.clone(), lane: Lane::try_from(lane).ok()? }, cursor))
}

fn open_day(database: &Database, day: u32) -> Result<Keyspace, LedgerError> {
    let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
    Ok(database.keyspace(&format!("{DAY_PREFIX}{day}"), options)?)
}

fn cursor_key(feed: &Feed) -> String {
    format!("{CURSOR_PREFIX}{}/{}", feed.region, feed.lane)
}

fn encode_cursor(cursor: &Cursor) -> Vec<u8> {
    [&cursor.sequence.to_be_bytes(), cursor.incarnation.as_bytes()].concat()
}

fn encode_checkpoint(checkpoint: &Checkpoint) -> Vec<u8> {
    let Checkpoint { sequence, hash, appended_at_us } = checkpoint;
    [&sequence.to_be_bytes()[..], &appended_at_us.to_be_bytes(), hash.as_bytes()].concat()
}

fn read_cut(meta: &Keyspace) -> Result<Cut, LedgerError> {
    let checkpoint = match meta.get(CHECKPOINT_KEY)? {
        Some(bytes) => Some(decode_checkpoint(&bytes).ok_or(LedgerError::Value)?),
        None => None,
    };
    let mut cursors = HashMap::new();
    for guard in meta.prefix(CURSOR_PREFIX) {
        let (key, value) = guard.into_inner()?;
        let (feed, cursor) = decode_cursor(&key, &value).ok_or(LedgerError::Value)?;
        cursors.insert(feed, cursor);
    }
    Ok(Cut { checkpoint, cursors })
}

fn decode_checkpoint(bytes: &[u8]) -> Option<Checkpoint> {
    let (sequence, rest) = bytes.split_first_chunk()?;
    let (appended_at, hash) = rest.split_first_chunk()?;
    Some(Checkpoint {
        sequence: u64::from_be_bytes(*sequence),
        hash: Digest256::from_bytes(hash.try_into().ok()?),
        appended_at_us: u64::from_be_bytes(*appended_at),
    })
}

fn decode_cursor(key: &[u8], value: &[u8]) -> Option<(Feed, Cursor)> {
    let (region, lane) = std::str::from_utf8(key).ok()?.strip_prefix(CURSOR_PREFIX)?.rsplit_once('/')?;
    let (sequence, incarnation) = value.split_first_chunk()?;
    let feed = Feed { region: region.to_owned(), lane: lane.parse().ok()? };
    let incarnation = String::from_utf8(incarnation.to_vec()).ok()?;
    Some((feed, Cursor { incarnation, sequence: u64::from_be_bytes(*sequence) }))
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
