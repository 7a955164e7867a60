//! Lists quarantined events of all shards.

use std::collections::BTreeSet;

use floodgate_event::{EventId, Name};
use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use super::{EventLookup, LookupError};
use crate::books::ShardBooks;
use crate::dedup::ledger::LedgerError;
use crate::dedup::quarantine::{Bounds, Key, Page, Quarantine, Row};

/// The most rows that one page may read in each shard.
const LOOKS: usize = 20_000;

/// Selects quarantined events by source, handler and id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only events of this source.
    pub source: Option<Name>,
    /// Only events that this handler failed on.
    pub handler: Option<Name>,
    /// Only the events with these ids. All events if it is empty.
    pub ids: Vec<EventId>,
}

impl Selection {
    /// The ids that it names, each once.
    fn named(&self) -> BTreeSet<EventId> {
        self.ids.iter().copied().collect()
    }

    fn matches(&self, row: &Row) -> bool {
        let is = |wanted: &Option<Name>, text: &str| wanted.as_ref().is_none_or(|name| name.as_str() == text);
        is(&self.source, &row.source) && is(&self.handler, &row.handler)
    }

    /// Returns some of the selected events after `after`, oldest first.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn oldest(&self, index: &Quarantine, after: Option<Key>, rows: usize) -> Result<Page, LedgerError> {
        if self.ids.is_empty() {
            return index.oldest(after, Bounds { rows, looks: LOOKS }, |row| self.matches(row));
        }
        let mut rows = Vec::new();
        for &id in &self.ids {
            let found = index.get(id)?;
            rows.extend(
                found.filter(|(key, row)| after.is_none_or(|after| *key > after) && self.matches(row)),
            );
        }
        rows.sort_by_key(|(key, _)| *key);
        rows.dedup_by_key(|(key, _)| *key);
        Ok(Page { rows, next: None })
    }

    /// Counts the selected events of a shard, and returns the key of the last one.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn count(&self, index: &Quarantine) -> Result<(u64, Option<Key>), LedgerError> {
        let (mut count, mut last, mut after) = (0, None, None);
        loop {
            let page = self.oldest(index, after, LOOKS)?;
            count += page.rows.len() as u64;
            last = page.rows.last().map(|(key, _)| *key).or(last);
            after = page.next;
            if after.is_none() {
                return Ok((count, last));
            }
        }
    }
}

/// An event that the caller named, and that is not selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotTaken {
    /// The id that was named.
    pub id: EventId,
    /// Why it is not selected, for people to read.
    pub reason: String,
}

impl Serialize for NotTaken {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = to.serialize_struct("NotTaken", 2)?;
        fields.serialize_field("id", &self.id.to_string())?;
        fields.serialize_field("error", &self.reason)?;
        fields.end()
    }
}

impl EventLookup {
    /// Returns the events that a selection names and does not select, each with the reason.
    ///
    /// # Errors
    /// If a ledger or the log cannot be read.
    pub async fn not_selected(&self, selection: &Selection) -> Result<Vec<NotTaken>, LookupError> {
        let mut not_taken = Vec::new();
        for id in selection.named() {
            let found = self.shards.iter().map(|shard| shard.ledger.quarantine().get(id));
            let found: Vec<_> = tokio::task::block_in_place(|| found.collect::<Result<_, _>>())?;
            let mut rows = found.into_iter().flatten();
            let reason = match rows.next() {
                Some((_, row)) if selection.matches(&row) => continue,
                Some((_, row)) => {
                    let Row { source, handler, .. } = row;
                    format!("it is of source {source} and handler {handler}, which was not asked for")
                }
                None => match self.find(id).await? {
                    Some(event) => format!("it is {}, not quarantined", event.status()),
                    None => "there is no such event".to_owned(),
                },
            };
            not_taken.push(NotTaken { id, reason });
        }
        Ok(not_taken)
    }

    /// Returns up to `limit` quarantined events that were appended before `before`, newest first. A page with
    /// fewer events is the last one only if its `next` is none.
    ///
    /// # Errors
    /// If a ledger cannot be read.
    pub fn quarantined(
        &self,
        selection: &Selection,
        before: Option<Key>,
        limit: usize,
    ) -> Result<Page, LedgerError> {
        let bounds = Bounds { rows: limit, looks: LOOKS };
        let page = |shard: &ShardBooks| {
            shard.ledger.quarantine().newest(before, bounds, |row| selection.matches(row))
        };
        let pages = tokio::task::block_in_place(|| self.shards.iter().map(page).collect::<Result<_, _>>())?;
        Ok(merge(pages, limit))
    }
}

/// Merges the pages of several shards. Cuts the result where a shard's page ends before that shard does,
/// because what follows there is not known yet.
fn merge(pages: Vec<Page>, limit: usize) -> Page {
    let known_to = pages.iter().filter_map(|page| page.next).max();
    let mut rows: Vec<_> = pages.into_iter().flat_map(|page| page.rows).collect();
    rows.retain(|(key, _)| known_to.is_none_or(|end| *key >= end));
    rows.sort_by_key(|(key, _)| std::cmp::Reverse(*key));
    let next = if rows.len() > limit { rows[..limit].last().map(|(key, _)| *key) } else { known_to };
    rows.truncate(limit);
    Page { rows, next }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dedup::value::Position;

    fn page(times: &[u64], next: Option<u64>) -> Page {
        let key = |appended_at_us| Key { appended_at_us, id: EventId::from([0; 16]) };
        let row = Row {
            position: Position { sequence: 1, index: 0 },
            received_at_us: 0,
            source: String::new(),
            region: String::new(),
            handler: String::new(),
            handler_version: 0,
            kind: String::new(),
            event_type: String::new(),
            message: String::new(),
        };
        let rows = times.iter().map(|&time| (key(time), row.clone())).collect();
        Page { rows, next: next.map(key) }
    }

    fn times(page: &Page) -> (Vec<u64>, Option<u64>) {
        let of = |key: &Key| key.appended_at_us;
        (page.rows.iter().map(|(key, _)| of(key)).collect(), page.next.as_ref().map(of))
    }

    #[test]
    fn nothing_is_given_that_another_shard_might_still_precede() {
        let merged = merge(vec![page(&[9, 4, 3], None), page(&[8, 7], Some(6))], 10);
        assert_eq!(times(&merged), (vec![9, 8, 7], Some(6)));
    }

    #[test]
    fn a_full_page_ends_with_its_last_row() {
        let merged = merge(vec![page(&[9, 5], None), page(&[8, 7], None)], 3);
        assert_eq!(times(&merged), (vec![9, 8, 7], Some(7)));
        let merged = merge(vec![page(&[9, 5], None), page(&[8, 7], None)], 4);
        assert_eq!(times(&merged), (vec![9, 8, 7, 5], None));
    }
}
