//! Counts stored events by lane and source: those that were routed to at least one destination, and those
//! that matched none.
//!
//! Records of earlier releases do not count events. Everything up to the last of them is *uncounted*, and so
//! is what remains of a log that lost its latest part. The books take those events for routed.

use std::collections::{BTreeMap, HashMap};

use fjall::{OwnedWriteBatch, Readable as _, Snapshot};
use floodgate_event::Lane;
use floodgate_event::deliveries::{LaneRouting, Routed};
use floodgate_event::proto::{Matched, MatchedEvents};
use prost::Message as _;

use super::IndexError;
use super::storage::{Cursor, Tables, cursor_key, decode};
use super::values::RoutedRow;

/// How one journal message changes the counts, by lane.
#[derive(Default)]
pub(super) struct EventCountChanges(HashMap<Lane, LaneChange>);

#[derive(Default)]
struct LaneChange {
    /// If set, drops what was counted before, which is uncounted up to this log sequence.
    uncounted_through: Option<u64>,
    counts: BTreeMap<String, RoutedRow>,
}

impl EventCountChanges {
    pub(super) fn matched(
        &mut self,
        tables: &Tables,
        lane: Lane,
        matched: &Matched,
    ) -> Result<(), IndexError> {
        match &matched.events {
            Some(events) => self.count(tables, lane, events),
            None => {
                self.uncount(lane, matched.log_sequence);
                Ok(())
            }
        }
    }

    /// Drops what was counted: up to this log sequence, the lane is uncounted.
    pub(super) fn uncount(&mut self, lane: Lane, through: u64) {
        self.0.insert(lane, LaneChange { uncounted_through: Some(through), counts: BTreeMap::new() });
    }

    fn count(&mut self, tables: &Tables, lane: Lane, events: &MatchedEvents) -> Result<(), IndexError> {
        let change = self.0.entry(lane).or_default();
        for counted in &events.routed {
            change.row(tables, lane, &counted.source)?.routed += counted.count;
        }
        for counted in &events.unmatched {
            change.row(tables, lane, &counted.source)?.unmatched += counted.count;
        }
        Ok(())
    }

    pub(super) fn write(self, tables: &Tables, batch: &mut OwnedWriteBatch) -> Result<(), IndexError> {
        for (lane, change) in self.0 {
            if let Some(through) = change.uncounted_through {
                for entry in tables.meta.prefix(routed_prefix(lane)) {
                    batch.remove(&tables.meta, entry.key()?);
                }
                batch.insert(&tables.meta, uncounted_key(lane), through.to_be_bytes());
            }
            for (source, row) in change.counts {
                batch.insert(&tables.meta, routed_key(lane, &source), row.encode_to_vec());
            }
        }
        Ok(())
    }
}

impl LaneChange {
    fn row(&mut self, tables: &Tables, lane: Lane, source: &str) -> Result<&mut RoutedRow, IndexError> {
        if !self.counts.contains_key(source) {
            let known = match self.uncounted_through {
                Some(_) => None,
                None => tables.meta.get(routed_key(lane, source))?,
            };
            let row = known.map_or(Ok(RoutedRow::default()), |value| decode(&value, "a count of events"))?;
            self.counts.insert(source.to_owned(), row);
        }
        Ok(self.counts.entry(source.to_owned()).or_default())
    }
}

/// Reads the counts of all lanes from one snapshot.
pub(super) fn read(tables: &Tables, snapshot: &Snapshot) -> Result<BTreeMap<Lane, LaneRouting>, IndexError> {
    let number = |key: String| match snapshot.get(&tables.meta, key)? {
        None => Ok(0),
        Some(value) => {
            value.as_ref().try_into().map(u64::from_be_bytes).map_err(|_| IndexError::Damaged("a cursor"))
        }
    };
    let lane = |lane: Lane| {
        let mut sources = BTreeMap::new();
        let prefix = routed_prefix(lane);
        for entry in snapshot.prefix(&tables.meta, &prefix) {
            let (key, value) = entry.into_inner()?;
            let source = std::str::from_utf8(key.get(prefix.len()..).unwrap_or_default());
            let source = source.map_err(|_| IndexError::Damaged("a count's key"))?;
            let RoutedRow { routed, unmatched } = decode(&value, "a count of events")?;
            sources.insert(source.to_owned(), Routed { routed, unmatched });
        }
        let cursor = snapshot.get(&tables.meta, cursor_key(lane))?;
        let cursor = cursor.map_or(Ok(Cursor::default()), |value| Cursor::read(&value))?.through;
        let uncounted_through = number(uncounted_key(lane))?;
        Ok((lane, LaneRouting { cursor, uncounted_through, sources }))
    };
    Lane::ALL.into_iter().map(lane).collect()
}

fn routed_prefix(lane: Lane) -> String {
    format!("routed/{lane}/")
}

fn routed_key(lane: Lane, source: &str) -> String {
    format!("routed/{lane}/{source}")
}

fn uncounted_key(lane: Lane) -> String {
    format!("uncounted/{lane}")
}
