//! The index of quarantined events. It is a part of the ledger, and like all of it a fold of the central log.
//!
//! A quarantined copy adds an event to the index. A stored, filtered or answered copy of the same id removes
//! it. If there are several quarantined copies, the last one is kept.

mod row;

use std::collections::BTreeMap;
use std::ops::Bound;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch};
use floodgate_event::EventId;
use floodgate_event::proto::Replica;
use floodgate_event::proto::verdict::Kind;

pub use self::row::{InvalidKey, Key, Row};
use super::error::LedgerError;
use super::value::Position;

/// The keyspace of the rows, by [`Key`].
const ROWS: &str = "quarantined";
/// The keyspace of append times, by id. Time and id together are a row's key.
const TIMES: &str = "quarantined_ids";
/// Memory for the latest writes of each keyspace, in bytes.
const MEMTABLE_BYTES: u64 = 1024 * 1024;

/// The quarantined events of one shard.
pub struct Quarantine {
    rows: Keyspace,
    times: Keyspace,
}

/// Some rows, and where the next page begins if there may be more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The rows, in the order that was asked for.
    pub rows: Vec<(Key, Row)>,
    /// The last key that this page looked at. None if there are no more rows.
    pub next: Option<Key>,
}

/// How many rows a page may return, and how many it may read.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most rows that it returns.
    pub rows: usize,
    /// The most rows that it reads. Without this bound, a filter that hardly any row passes would delay its
    /// caller.
    pub looks: usize,
}

impl Quarantine {
    pub(super) fn open(database: &Database) -> Result<Self, LedgerError> {
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let rows = database.keyspace(ROWS, options)?;
        let times = database.keyspace(TIMES, options)?;
        Ok(Self { rows, times })
    }

    pub(super) fn clear(&self) -> Result<(), LedgerError> {
        self.rows.clear()?;
        Ok(self.times.clear()?)
    }

    /// Adds what a replica changes to the batch that also holds its ids.
    pub(super) fn fold(
        &self,
        batch: &mut OwnedWriteBatch,
        sequence: u64,
        appended_at_us: u64,
        replica: &Replica,
    ) -> Result<(), LedgerError> {
        for (id, fate) in fates(sequence, replica) {
            // A batch that writes a key twice has no order, so each key is written once.
            let now = fate.map(|row| (Key { appended_at_us, id }, row));
            let before = self.key(id)?;
            if let Some(before) = before.filter(|&before| now.as_ref().is_none_or(|(key, _)| *key != before))
            {
                batch.remove(&self.rows, before.encode());
            }
            match now {
                Some((key, row)) => {
                    batch.insert(&self.rows, key.encode(), row.encode());
                    batch.insert(&self.times, *id.as_bytes(), appended_at_us.to_be_bytes());
                }
                None if before.is_some() => batch.remove(&self.times, *id.as_bytes()),
                None => {}
            }
        }
        Ok(())
    }

    /// Returns the row of an event, if it is quarantined now.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn get(&self, id: EventId) -> Result<Option<(Key, Row)>, LedgerError> {
        let Some(key) = self.key(id)? else { return Ok(None) };
        let Some(row) = self.rows.get(key.encode())? else { return Ok(None) };
        Ok(Some((key, Row::decode(&row).ok_or(LedgerError::Value)?)))
    }

    /// The newest rows before `before`, newest first.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn newest(
        &self,
        before: Option<Key>,
        bounds: Bounds,
        matches: impl Fn(&Row) -> bool,
    ) -> Result<Page, LedgerError> {
        let before = before.map_or(Bound::Unbounded, |key| Bound::Excluded(key.encode()));
        page(self.rows.range((Bound::Unbounded, before)).rev(), bounds, matches)
    }

    /// The oldest rows behind `after`, oldest first.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn oldest(
        &self,
        after: Option<Key>,
        bounds: Bounds,
        matches: impl Fn(&Row) -> bool,
    ) -> Result<Page, LedgerError> {
        let after = after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.encode()));
        page(self.rows.range((after, Bound::Unbounded)), bounds, matches)
    }

    fn key(&self, id: EventId) -> Result<Option<Key>, LedgerError> {
        let Some(time) = self.times.get(id.as_bytes())? else { return Ok(None) };
        let time: [u8; 8] = time[..].try_into().map_err(|_| LedgerError::Value)?;
        Ok(Some(Key { appended_at_us: u64::from_be_bytes(time), id }))
    }
}

/// Returns the last fate of each id in a replica: a row if it is quarantined, none if it is resolved.
fn fates(sequence: u64, replica: &Replica) -> BTreeMap<EventId, Option<Row>> {
    let mut fates = BTreeMap::new();
    for (index, entry) in (0..).zip(&replica.entries) {
        let (Some(verdict), Some(event)) = (&entry.verdict, &entry.event) else { continue };
        let Ok(id) = EventId::try_from(&*verdict.event_id) else { continue };
        match verdict.kind() {
            Kind::Quarantined => drop(fates.insert(id, Row::of(event, Position { sequence, index }))),
            Kind::Stored | Kind::Filtered | Kind::Responded => drop(fates.insert(id, None)),
            Kind::Duplicate | Kind::Unspecified => {}
        }
    }
    fates
}

fn page(
    entries: impl Iterator<Item = fjall::Guard>,
    bounds: Bounds,
    matches: impl Fn(&Row) -> bool,
) -> Result<Page, LedgerError> {
    let mut page = Page::default();
    let mut last = None;
    for (looked, entry) in entries.enumerate() {
        if page.rows.len() == bounds.rows || looked == bounds.looks {
            page.next = last;
            break;
        }
        let (key, value) = entry.into_inner()?;
        let key = Key::decode(&key).ok_or(LedgerError::Value)?;
        let row = Row::decode(&value).ok_or(LedgerError::Value)?;
        last = Some(key);
        if matches(&row) {
            page.rows.push((key, row));
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests;
