//! Answers what the API asks about deliveries. Each answer is read from one snapshot of the index.

use fjall::{Readable as _, Snapshot};
use floodgate_api::event::Delivery;
use floodgate_event::deliveries::{DeliveryBooks, Totals};

use super::key::{DeliveryId, attempts_prefix, event_prefix};
use super::storage::{decode, tally_prefix, tally_source};
use super::values::{DeliveryRow, QueueRow, SourceTally};
use super::{DeliveryIndex, IndexError, routing, view};

impl DeliveryIndex {
    /// Returns all deliveries of an event, by its position in the log.
    ///
    /// # Errors
    /// If the index cannot be read.
    pub fn of_event(&self, log_sequence: u64, index: u32) -> Result<Vec<Delivery>, IndexError> {
        let snapshot = self.tables.db.snapshot();
        let mut deliveries = Vec::new();
        for entry in snapshot.prefix(&self.tables.deliveries, event_prefix(log_sequence, index)) {
            let (key, value) = entry.into_inner()?;
            let row: DeliveryRow = decode(&value, "a delivery")?;
            deliveries.push(self.delivery(&snapshot, &DeliveryId::decode(&key)?, &row)?);
        }
        Ok(deliveries)
    }

    /// Counts all deliveries by source and state. This reads every open delivery, so it takes longer the more
    /// there are.
    ///
    /// # Errors
    /// If the index cannot be read.
    pub fn totals(&self) -> Result<DeliveryBooks, IndexError> {
        // A message that is folded between the two reads would make the cut one of another moment.
        let (snapshot, cut) = {
            let _folding = self.folding.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            (self.tables.db.snapshot(), self.checkpoint()?.map_or(0, |checkpoint| checkpoint.sequence))
        };
        let lanes = routing::read(&self.tables, &snapshot)?;
        let mut books = DeliveryBooks { cut, lanes, ..DeliveryBooks::default() };
        for entry in snapshot.prefix(&self.tables.meta, tally_prefix()) {
            let (key, value) = entry.into_inner()?;
            let SourceTally { matched, delivered, dead, discarded } = decode(&value, "a tally")?;
            let source = tally_source(&key).ok_or(IndexError::Damaged("a tally's key"))?;
            let totals = Totals { matched, delivered, dead, discarded, pending: 0 };
            books.sources.insert(source.to_owned(), totals);
        }
        for entry in snapshot.iter(&self.tables.queue) {
            let row: QueueRow = decode(&entry.value()?, "a queue entry")?;
            books.sources.entry(row.source).or_default().pending += 1;
        }
        books.all = books.sources.values().fold(Totals::default(), Totals::plus);
        Ok(books)
    }

    pub(super) fn delivery(
        &self,
        snapshot: &Snapshot,
        id: &DeliveryId,
        row: &DeliveryRow,
    ) -> Result<Delivery, IndexError> {
        let mut attempts = Vec::new();
        for entry in snapshot.prefix(&self.tables.attempts, attempts_prefix(&id.encode())) {
            let attempt: floodgate_event::proto::Attempt = decode(&entry.value()?, "an attempt")?;
            attempts.push(view::attempt(attempt));
        }
        Ok(view::delivery(id, row, attempts))
    }
}
