//! Folds one journal message into the index.
//!
//! The rules here define what the journal means. A `Matched` counts only if it is after its lane's cursor. An
//! `Attempt` counts only if its number is one more than the last that was recorded. A delivery that is closed
//! does not change any more. So a message that was written twice, or a record that came too late, is
//! harmless. If a block was matched in part before a crash, the deliveries that are known already do not
//! count again, whatever was matched in between. They stay even if a changed configuration, by which the
//! block is matched again, does not name them: they were recorded, so they may have been sent.

use std::collections::{BTreeMap, HashMap};

use floodgate_event::proto::attempt::Outcome;
use floodgate_event::proto::record::Record as Kind;
use floodgate_event::proto::{Attempt, Continued, DeliveryKey, Discarded, Matched, Record};
use floodgate_event::{Lane, Name};
use prost::Message as _;

use super::key::{DeliveryId, attempt_key};
use super::routing::EventCountChanges;
use super::storage::{Cursor, LOG_KEY, Tables, checkpoint_entry, cursor_key, dead_key, decode, tally_key};
use super::values::{DeliveryRow, Phase, QueueRow, SourceTally};
use super::{Checkpoint, IndexError};

/// The changes that one journal message makes, until they are committed.
pub(super) struct Changes<'a> {
    tables: &'a Tables,
    journal_sequence: u64,
    /// How many deliveries this message put into a queue so far.
    ordinal: u32,
    /// The deliveries that were touched: each row as it is on disk, and as it will be.
    rows: BTreeMap<DeliveryId, RowChange>,
    attempts: BTreeMap<Vec<u8>, Attempt>,
    cursors: HashMap<Lane, Cursor>,
    tallies: HashMap<String, SourceTally>,
    event_counts: EventCountChanges,
    /// The identity of the log that later records are about, if this message names one.
    log: Option<String>,
}

/// How a message changed a destination's backlog.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BacklogChange {
    /// The change in open deliveries.
    pub(super) open: i64,
    /// The change in dead deliveries.
    pub(super) dead: i64,
}

struct RowChange {
    /// None only if there is no row: the position in the queue of one that is open would be left behind, and
    /// would be sent for ever. New deliveries are not looked up, unless [`Cursor::may_know`] says so.
    before: Option<DeliveryRow>,
    after: DeliveryRow,
}

impl<'a> Changes<'a> {
    pub(super) fn new(tables: &'a Tables, journal_sequence: u64) -> Self {
        Self {
            tables,
            journal_sequence,
            ordinal: 0,
            rows: BTreeMap::new(),
            attempts: BTreeMap::new(),
            cursors: HashMap::new(),
            tallies: HashMap::new(),
            event_counts: EventCountChanges::default(),
            log: None,
        }
    }

    pub(super) fn add(&mut self, record: &Record) -> Result<(), IndexError> {
        match &record.record {
            Some(Kind::Matched(matched)) => self.matched(matched),
            Some(Kind::Attempt(attempt)) => self.attempt(attempt),
            Some(Kind::Discarded(discarded)) => self.discarded(discarded),
            Some(Kind::Continued(continued)) => self.continued(continued),
            // A fence names the writer. No delivery changes by it.
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
        let may_be_known = cursor.may_know(log_sequence);
        // Only the last part counts the events, because the others may be written again after a crash.
        if !matched.more {
            self.event_counts.matched(self.tables, lane, matched)?;
        }
        for target in &matched.targets {
            let Ok(destination) = target.destination.parse::<Name>() else {
                continue;
            };
            for &index in &target.indexes {
                let id = DeliveryId { log_sequence, index, generation: 0, destination: destination.clone() };
                if may_be_known && self.is_known(&id)? {
                    continue;
                }
                self.tally(&target.source)?.matched += 1;
                let (source, matched_by) = (target.source.clone(), matched.config_revision);
                let row = DeliveryRow { source, matched_by, ..DeliveryRow::default() };
                let after = self.enqueue(row, 0);
                self.rows.insert(id, RowChange { before: None, after });
            }
        }
        Ok(())
    }

    /// Moves cursors back to where the new log continues. The deliveries after that are removed already.
    fn continued(&mut self, continued: &Continued) -> Result<(), IndexError> {
        self.log = Some(continued.log.clone());
        for lane in Lane::ALL {
            let cursor = self.tables.cursor(lane)?;
            let back = cursor.back_to(continued.through);
            if back != cursor {
                self.cursors.insert(lane, back);
            }
            if back.through < cursor.through {
                self.event_counts.uncount(lane, back.through);
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

    /// Keeps an attempt. Of the answers' bodies, only the last is kept, and none of a delivery that
    /// succeeded.
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

    /// Returns the delivery that a record names, if it is known and open.
    fn open_row(
        &mut self,
        key: Option<&DeliveryKey>,
    ) -> Result<Option<(DeliveryId, DeliveryRow)>, IndexError> {
        let Some(id) = key.and_then(DeliveryId::from_proto) else {
            return Ok(None);
        };
        if !self.rows.contains_key(&id) {
            let Some(row) = self.tables.row(&id.encode())? else {
                return Ok(None);
            };
            self.rows.insert(id.clone(), RowChange { before: Some(row.clone()), after: row });
        }
        let row = self.rows.get(&id).map(|change| change.after.clone());
        Ok(row.filter(DeliveryRow::is_pending).map(|row| (id, row)))
    }

    fn change(&mut self, id: &DeliveryId, row: DeliveryRow) {
        if let Some(change) = self.rows.get_mut(id) {
            change.after = row;
        }
    }

    fn enqueue(&mut self, row: DeliveryRow, due_us: u64) -> DeliveryRow {
        let ordinal = self.ordinal;
        self.ordinal += 1;
        DeliveryRow { due_us, journal_sequence: self.journal_sequence, ordinal, ..row }
    }

    fn tally(&mut self, source: &str) -> Result<&mut SourceTally, IndexError> {
        if !self.tallies.contains_key(source) {
            self.tallies.insert(source.to_owned(), self.tables.tally(source)?);
        }
        Ok(self.tallies.entry(source.to_owned()).or_default())
    }

    /// Writes all changes and the checkpoint in one atomic batch. Returns how the backlog of each destination
    /// that was touched changed.
    pub(super) fn commit(self, checkpoint: Checkpoint) -> Result<BTreeMap<Name, BacklogChange>, IndexError> {
        let tables = self.tables;
        let mut batch = tables.db.batch();
        let mut backlogs: BTreeMap<Name, BacklogChange> = BTreeMap::new();
        for (id, change) in &self.rows {
            let open = write_row(tables, &mut batch, id, change);
            let backlog = backlogs.entry(id.destination.clone()).or_default();
            backlog.open += open;
            backlog.dead += i64::from(change.after.phase() == Phase::Dead && change.was_open());
        }
        for (destination, change) in backlogs.iter().filter(|(_, change)| change.dead > 0) {
            let dead = tables.dead_of(destination)?.saturating_add_signed(change.dead);
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
        self.event_counts.write(tables, &mut batch)?;
        if let Some(log) = self.log {
            batch.insert(&tables.meta, LOG_KEY, log.into_bytes());
        }
        let (key, value) = checkpoint_entry(checkpoint);
        batch.insert(&tables.meta, key, value);
        batch.commit()?;
        Ok(backlogs)
    }
}

impl RowChange {
    fn was_open(&self) -> bool {
        self.before.as_ref().is_none_or(DeliveryRow::is_pending)
    }
}

fn closed(row: DeliveryRow, phase: Phase) -> DeliveryRow {
    DeliveryRow { phase: phase.into(), due_us: 0, ..row }
}

/// Writes a delivery and its position in the queue. Returns the change in open deliveries.
fn write_row(
    tables: &Tables,
    batch: &mut fjall::OwnedWriteBatch,
    id: &DeliveryId,
    change: &RowChange,
) -> i64 {
    let delivery = id.encode();
    let before = change.before.as_ref().and_then(|row| row.queue_key(&id.destination));
    let after = change.after.queue_key(&id.destination);
    if let Some(key) = &before {
        batch.remove(&tables.queue, key.clone());
    }
    if let Some(key) = &after {
        let DeliveryRow { source, attempts, matched_by, .. } = change.after.clone();
        let row = QueueRow { delivery: delivery.clone(), source, attempts, matched_by };
        batch.insert(&tables.queue, key.clone(), row.encode_to_vec());
    }
    if change.after.phase() == Phase::Dead {
        batch.insert(&tables.dead, delivery.clone(), Vec::new());
    }
    batch.insert(&tables.deliveries, delivery, change.after.encode_to_vec());
    i64::from(after.is_some()) - i64::from(before.is_some())
}
