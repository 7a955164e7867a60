//! What became of stored events as such: routed to at least one destination, or to none.
//! Counted by lane and source.
//!
//! Records of earlier releases do not say. What a lane routed up to and with the last of them,
//! and what stands of a log that went back, is *uncounted*: the books take the events that the log
//! stored up to there for routed.

use std::collections::{BTreeMap, HashMap};

use fjall::{OwnedWriteBatch, Readable as _, Snapshot};
use floodgate_event::Lane;
use floodgate_event::deliveries::{LaneRouting, Routed};
use floodgate_event::proto::{Matched, MatchedEvents};
use prost::Message as _;

use super::IndexError;
use super::row::RoutedRow;
use super::tables::{Cursor, Tables, cursor_key, decode};

/// The changes of one journal message.
#[derive(Default)]
pub(super) struct RoutingFold(HashMap<Lane, Change>);

#[derive(Default)]
struct Change {
    /// Forgets what was counted before.
    uncounted_through: Option<u64>,
    counts: BTreeMap<String, RoutedRow>,
}

impl RoutingFold {
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

    /// What was counted up to a sequence is not any more.
    pub(super) fn uncount(&mut self, lane: Lane, through: u64) {
        self.0.insert(lane, Change { uncounted_through: Some(through), counts: BTreeMap::new() });
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

impl Change {
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

/// All lanes, as one snapshot has them.
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
