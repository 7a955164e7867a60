//! The ledger's partitions: ids by the UTC day of the log's time, so that a whole day can be dropped at once.
//!
//! If a wrong clock wrote a time far ahead, the log's time goes back later. A day that is then ahead is
//! dropped together with the day to which the time went back: its own date may be years away.

use std::collections::BTreeMap;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch};

use super::LedgerError;

/// Memory for the latest writes of one day, in bytes.
const MEMTABLE_BYTES: u64 = 4 * 1024 * 1024;
const DAY_PREFIX: &str = "day-";
/// The key in `meta` is this prefix and a day that is ahead. The value is the day that it is dropped with.
const AHEAD_PREFIX: &str = "ahead/";

#[derive(Default)]
pub(super) struct Days {
    days: BTreeMap<u32, Day>,
}

struct Day {
    ids: Keyspace,
    /// The day that it is dropped with, if it is ahead.
    goes_with: Option<u32>,
}

impl Days {
    pub(super) fn open(database: &Database, meta: &Keyspace) -> Result<Self, LedgerError> {
        let mut days = BTreeMap::new();
        for name in database.list_keyspace_names() {
            let Some(day) = name.strip_prefix(DAY_PREFIX).and_then(|day| day.parse().ok()) else { continue };
            let goes_with = match meta.get(ahead_key(day))? {
                Some(bytes) => {
                    Some(u32::from_be_bytes(bytes[..].try_into().map_err(|_| LedgerError::Value)?))
                }
                None => None,
            };
            days.insert(day, Day { ids: open_day(database, day)?, goes_with });
        }
        Ok(Self { days })
    }

    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Keyspace> {
        self.days.values().rev().map(|day| &day.ids)
    }

    /// Returns the keyspace of the day that is written to now.
    pub(super) fn enter(
        &mut self,
        today: u32,
        database: &Database,
        batch: &mut OwnedWriteBatch,
        meta: &Keyspace,
    ) -> Result<Keyspace, LedgerError> {
        if let Some(day) = self.days.get_mut(&today) {
            // Events are written to it again, so it must be kept until its own date.
            if day.goes_with.take().is_some() {
                batch.remove(meta, ahead_key(today));
            }
            return Ok(day.ids.clone());
        }
        // A crash may have left the note of a day that was dropped while it was ahead. This one is not.
        batch.remove(meta, ahead_key(today));
        let ids = open_day(database, today)?;
        self.days.insert(today, Day { ids: ids.clone(), goes_with: None });
        Ok(ids)
    }

    /// Marks the days after `today` as ahead, because the log's time went back to `today`.
    pub(super) fn note_ahead(&mut self, today: u32, batch: &mut OwnedWriteBatch, meta: &Keyspace) {
        for (&ahead, day) in self.days.range_mut(today.saturating_add(1)..) {
            if day.goes_with.is_none() {
                tracing::warn!(day = ahead, today, "a ledger day is ahead of the log's time");
                day.goes_with = Some(today);
                batch.insert(meta, ahead_key(ahead), today.to_be_bytes());
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.days.len()
    }

    pub(super) fn has_before(&self, day: u32) -> bool {
        self.before(day).next().is_some()
    }

    pub(super) fn drop_before(
        &mut self,
        day: u32,
        database: &Database,
        meta: &Keyspace,
    ) -> Result<(), LedgerError> {
        let old: Vec<u32> = self.before(day).collect();
        for day in old {
            if let Some(Day { ids, goes_with }) = self.days.remove(&day) {
                tracing::info!(day, "ledger day dropped");
                database.delete_keyspace(ids)?;
                // Last: a day that a crash leaves without its note is kept until its own date. A note that is
                // left without its day is removed by `enter`.
                if goes_with.is_some() {
                    meta.remove(ahead_key(day))?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn clear(&mut self, database: &Database) -> Result<(), LedgerError> {
        for (_, day) in std::mem::take(&mut self.days) {
            database.delete_keyspace(day.ids)?;
        }
        Ok(())
    }

    fn before(&self, limit: u32) -> impl Iterator<Item = u32> {
        let is_before = move |(day, at): (&u32, &Day)| (at.goes_with.unwrap_or(*day) < limit).then_some(*day);
        self.days.iter().filter_map(is_before)
    }
}

fn ahead_key(day: u32) -> String {
    format!("{AHEAD_PREFIX}{day}")
}

fn open_day(database: &Database, day: u32) -> Result<Keyspace, LedgerError> {
    let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
    Ok(database.keyspace(&format!("{DAY_PREFIX}{day}"), options)?)
}
