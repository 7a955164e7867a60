//! What one journal message changes. The rules here are the meaning of the journal: a `Matched` counts only
//! beyond its lane's cursor, an `Attempt` only if it is the recorded one plus 1, and nothing that is closed
//! changes any more. So a message that was written twice, or a record that came too late, is harmless.
//! Of a block that was matched in part, what is known already does not count again.

use std::collections::{BTreeMap, HashMap};

use floodgate_event::proto::attempt::Outcome;
use floodgate_event::proto::record::Record as Kind;
use floodgate_event::proto::{Attempt, Continued, DeliveryKey, Discarded, Matched, Record};
use floodgate_event::{Lane, Name};
use prost::Message as _;

use super::key::{DeliveryId, attempt_key};
use super::routing::RoutingFold;
use super::row::{Phase, QueueRow, Row, Tally};
use super::tables::{Cursor, LOG_KEY, Tables, checkpoint_entry, cursor_key, dead_key, decode, tally_key};
use super::{Checkpoint, IndexError};

/// The changes that one journal message makes, until they are committed.
pub(super) struct Fold<'a> {
    tables: &'a Tables,
    journal_sequence: u64,
    ordinal: u32,
    /// By delivery, those that were touched: the row as it is on disk, and as it will be.
    rows: BTreeMap<DeliveryId, Change>,
    attempts: BTreeMap<Vec<u8>, Attempt>,
    cursors: HashMap<Lane, Cursor>,
    tallies: HashMap<String, Tally>,
    routing: RoutingFold,
    /// Which log it is about from here on.
    log: Option<String>,
}

/// What a message changed for a destination.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moved {
    /// In its open deliveries.
    pub(super) open: i64,
    /// In its dead ones.
    pub(super) dead: i64,
}

struct Change {
    before: Option<Row>,
    after: Row,
}

impl<'a> Fold<'a> {
    pub(super) fn new(tables: &'a Tables, journal_sequence: u64) -> Self {
        Self {
            tables,
            journal_sequence,
            ordinal: 0,
            rows: BTreeMap::new(),
            attempts: BTreeMap::new(),
            cursors: HashMap::new(),
            tallies: HashMap::new(),
            routing: RoutingFold::default(),
            log: None,
        }
    }

    pub(super) fn record(&mut self, record: &Record) -> Result<(), IndexError> {
        match &record.record {
            Some(Kind::Matched(matched)) => self.matched(matched),
            Some(Kind::Attempt(attempt)) => self.attempt(attempt),
            Some(Kind::Discarded(discarded)) => self.discarded(discarded),
            Some(Kind::Continued(continued)) => self.continued(continued),
            // A fence says who writes; no delivery changes by it.
            Some(Kind::Fence(_)) | None => Ok(()),
        }
    }

    fn matched(&mut self, matched: &Matched) -> Result<(), IndexError> {
        let Ok(lane) = Lane::try_from(matched.lane) else {
            return Ok(());
        };
        let cursor = match self.cursors.get(&lane) {
            Some(&cursor) => cursor,
            None => self.tables.cursor(lane)?,
        };
        let log_sequence = matched.log_sequence;
        if log_sequence <= cursor.through {
            return Ok(());
        }
        self.cursors.insert(lane, cursor.after(log_sequence, matched.more));
        let begun = cursor.begun == log_sequence;
        // What became of the events comes with the last part: the others may be written again after a crash.
        if !matched.more {
            self.routing.matched(self.tables, lane, matched)?;
        }
        for target in &matched.targets {
            let Ok(destination) = target.destination.parse::<Name>() else {
                continue;
            };
            for &index in &target.indexes {
                let id = DeliveryId { log_sequence, index, generation: 0, destination: destination.clone() };
                if begun && self.is_known(&id)? {
                    continue;
                }
                self.tally(&target.source)?.matched += 1;
                let (source, matched_by) = (target.source.clone(), matched.config_revision);
                let row = Row { source, matched_by, ..Row::default() };
                let after = self.enqueue(row, 0);
                self.rows.insert(id, Change { before: None, after });
            }
        }
        Ok(())
    }

    /// The deliveries behind it are forgotten already.
    fn continued(&mut self, continued: &Continued) -> Result<(), IndexError> {
        self.log = Some(continued.log.clone());
        for lane in Lane::ALL {
            let cursor = self.tables.cursor(lane)?;
            let through = cursor.through.min(continued.through);
            if cursor.begun > continued.through || cursor.through > through {
                self.cursors.insert(lane, Cursor { through, begun: 0 });
            }
            if cursor.through > through {
                self.routing.uncount(lane, through);
            }
        }
        Ok(())
    }

    fn is_known(&self, id: &DeliveryId) -> Result<bool, IndexError> {
        Ok(self.rows.contains_key(id) || self.tables.row(&id.encode())?.is_some())
    }

    fn attempt(&mut self, attempt: &Attempt) -> Result<(), IndexError> {
        let Some((id, mut row)) = self.open_row(attempt.delivery.as_ref())? else {
            return Ok(());
        };
        if attempt.number != row.attempts + 1 {
            return Ok(());
        }
        row.attempts = attempt.number;
        let delivered = attempt.outcome() == Outcome::Delivered;
        self.keep_attempt(&id, attempt, delivered)?;
        let row = if delivered {
            self.tally(&row.source)?.delivered += 1;
            closed(row, Phase::Delivered)
        } else if attempt.next_attempt_at_us == 0 {
            self.tally(&row.source)?.dead += 1;
            closed(row, Phase::Dead)
        } else {
            self.enqueue(row, attempt.next_attempt_at_us)
        };
        self.change(&id, row);
        Ok(())
    }

    fn discarded(&mut self, discarded: &Discarded) -> Result<(), IndexError> {
        let Some((id, mut row)) = self.open_row(discarded.delivery.as_ref())? else {
            return Ok(());
        };
        self.tally(&row.source)?.discarded += 1;
        row.reason.clone_from(&discarded.reason);
        self.change(&id, closed(row, Phase::Discarded));
        Ok(())
    }

    /// Only the last answer's body is kept, and none of a delivery that succeeded.
    fn keep_attempt(
        &mut self,
        id: &DeliveryId,
        attempt: &Attempt,
        delivered: bool,
    ) -> Result<(), IndexError> {
        let delivery = id.encode();
        let previous = attempt_key(&delivery, attempt.number - 1);
        let known = match self.attempts.remove(&previous) {
            Some(known) => Some(known),
            None => {
                self.tables.attempts.get(&previous)?.map(|value| decode(&value, "an attempt")).transpose()?
            }
        };
        if let Some(mut known) = known {
            known.response = Vec::new();
            self.attempts.insert(previous, known);
        }
        let response = if delivered { Vec::new() } else { attempt.response.clone() };
        let kept = Attempt { delivery: None, response, ..attempt.clone() };
        self.attempts.insert(attempt_key(&delivery, attempt.number), kept);
        Ok(())
    }

    /// The delivery that a record names, if it is known and open.
    fn open_row(&mut self, key: Option<&DeliveryKey>) -> Result<Option<(DeliveryId, Row)>, IndexError> {
        let Some(id) = key.and_then(DeliveryId::from_proto) else {
            return Ok(None);
        };
        if !self.rows.contains_key(&id) {
            let Some(row) = self.tables.row(&id.encode())? else {
                return Ok(None);
            };
            self.rows.insert(id.clone(), Change { before: Some(row.clone()), after: row });
        }
        let row = self.rows.get(&id).map(|change| change.after.clone());
        Ok(row.filter(Row::is_pending).map(|row| (id, row)))
    }

    fn change(&mut self, id: &DeliveryId, row: Row) {
        if let Some(change) = self.rows.get_mut(id) {
            change.after = row;
        }
    }

    fn enqueue(&mut self, row: Row, due_us: u64) -> Row {
        let ordinal = self.ordinal;
        self.ordinal += 1;
        Row { due_us, journal_sequence: self.journal_sequence, ordinal, ..row }
    }

    fn tally(&mut self, source: &str) -> Result<&mut Tally, IndexError> {
        if !self.tallies.contains_key(source) {
            self.tallies.insert(source.to_owned(), self.tables.tally(source)?);
        }
        Ok(self.tallies.entry(source.to_owned()).or_default())
    }

    /// Writes all of it in one batch. Gives what changed for each destination that was touched.
    pub(super) fn commit(self, checkpoint: Checkpoint) -> Result<BTreeMap<Name, Moved>, IndexError> {
        let tables = self.tables;
        let mut batch = tables.db.batch();
        let mut moved: BTreeMap<Name, Moved> = BTreeMap::new();
        for (id, change) in &self.rows {
            let open = write_row(tables, &mut batch, id, change);
            let moved = moved.entry(id.destination.clone()).or_default();
            moved.open += open;
            moved.dead += i64::from(change.after.phase() == Phase::Dead && change.was_open());
        }
        for (destination, moved) in moved.iter().filter(|(_, moved)| moved.dead > 0) {
            let dead = tables.dead_of(destination)?.saturating_add_signed(moved.dead);
            batch.insert(&tables.meta, dead_key(destination), dead.to_be_bytes());
        }
        for (key, attempt) in self.attempts {
            batch.insert(&tables.attempts, key, attempt.encode_to_vec());
        }
        for (lane, cursor) in self.cursors {
            batch.insert(&tables.meta, cursor_key(lane), cursor.encode());
        }
        for (source, tally) in self.tallies {
            batch.insert(&tables.meta, tally_key(&source), tally.encode_to_vec());
        }
        self.routing.write(tables, &mut batch)?;
        if let Some(log) = self.log {
            batch.insert(&tables.meta, LOG_KEY, log.into_bytes());
        }
        let (key, value) = checkpoint_entry(checkpoint);
        batch.insert(&tables.meta, key, value);
        batch.commit()?;
        Ok(moved)
    }
}

impl Change {
    fn was_open(&self) -> bool {
        self.before.as_ref().is_none_or(Row::is_pending)
    }
}

fn closed(row: Row, phase: Phase) -> Row {
    Row { phase: phase.into(), due_us: 0, ..row }
}

/// Writes a delivery and its place in the queue; gives the change in open deliveries.
fn write_row(tables: &Tables, batch: &mut fjall::OwnedWriteBatch, id: &DeliveryId, change: &Change) -> i64 {
    let delivery = id.encode();
    let before = change.before.as_ref().and_then(|row| row.queue_key(&id.destination));
    let after = change.after.queue_key(&id.destination);
    if let Some(key) = &before {
        batch.remove(&tables.queue, key.clone());
    }
    if let Some(key) = &after {
        let Row { source, attempts, matched_by, .. } = change.after.clone();
        let row = QueueRow { delivery: delivery.clone(), source, attempts, matched_by };
        batch.insert(&tables.queue, key.clone(), row.encode_to_vec());
    }
    if change.after.phase() == Phase::Dead {
        batch.insert(&tables.dead, delivery.clone(), Vec::new());
    }
    batch.insert(&tables.deliveries, delivery, change.after.encode_to_vec());
    i64::from(after.is_some()) - i64::from(before.is_some())
}
