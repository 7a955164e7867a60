//! What the API asks of the index. Each answer is read from one snapshot.

use std::ops::Bound;

use fjall::{Readable as _, Snapshot};
use floodgate_event::deliveries::{DeliveryBooks, Totals};

use super::key::{DeliveryId, attempts_prefix, event_prefix};
use super::row::{QueueRow, Row, Tally};
use super::tables::{decode, tally_prefix, tally_source};
use super::view::{AttemptView, DeadLetter, DeadLetters, DeliveryView};
use super::{DeliveryIndex, IndexError, routing};

impl DeliveryIndex {
    /// The most dead letters of one page.
    pub const MAX_PAGE: usize = 500;

    /// All deliveries of an event, by its position in the log.
    ///
    /// # Errors
    /// If the index cannot be read.
    pub fn of_event(&self, log_sequence: u64, index: u32) -> Result<Vec<DeliveryView>, IndexError> {
        let snapshot = self.tables.db.snapshot();
        let mut views = Vec::new();
        for entry in snapshot.prefix(&self.tables.deliveries, event_prefix(log_sequence, index)) {
            let (key, value) = entry.into_inner()?;
            let row: Row = decode(&value, "a delivery")?;
            views.push(self.view(&snapshot, &DeliveryId::decode(&key)?, &row)?);
        }
        Ok(views)
    }

    /// Counts all deliveries. Goes over every open one, so it takes longer the more there are.
    ///
    /// # Errors
    /// If the index cannot be read.
    pub fn totals(&self) -> Result<DeliveryBooks, IndexError> {
        // Between the two reads a message may be folded in; then the cut would be of another moment.
        let (snapshot, cut) = {
            let _folding = self.folding.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            (self.tables.db.snapshot(), self.checkpoint()?.map_or(0, |checkpoint| checkpoint.sequence))
        };
        let lanes = routing::read(&self.tables, &snapshot)?;
        let mut books = DeliveryBooks { cut, lanes, ..DeliveryBooks::default() };
        for entry in snapshot.prefix(&self.tables.meta, tally_prefix()) {
            let (key, value) = entry.into_inner()?;
            let Tally { matched, delivered, dead, discarded } = decode(&value, "a tally")?;
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

    /// Up to `limit` (at most [`Self::MAX_PAGE`]) dead letters behind `after`, a page's `next`.
    ///
    /// # Errors
    /// `DeadLettersError::After` if `after` is no page's `next`; else if the index cannot be read.
    pub fn dead(&self, limit: usize, after: Option<&str>) -> Result<DeadLetters, DeadLettersError> {
        let from = match after {
            Some(text) => {
                Bound::Excluded(DeliveryId::from_text(text).ok_or(DeadLettersError::After)?.encode())
            }
            None => Bound::Unbounded,
        };
        Ok(self.dead_behind(limit.clamp(1, Self::MAX_PAGE), from)?)
    }

    fn dead_behind(&self, limit: usize, from: Bound<Vec<u8>>) -> Result<DeadLetters, IndexError> {
        let snapshot = self.tables.db.snapshot();
        let mut page = DeadLetters::default();
        let mut last = None;
        for entry in snapshot.range::<Vec<u8>, _>(&self.tables.dead, (from, Bound::Unbounded)) {
            if page.items.len() == limit {
                page.next = last.as_ref().map(DeliveryId::to_text);
                break;
            }
            let id = DeliveryId::decode(&entry.key()?)?;
            page.items.push(self.dead_letter(&snapshot, &id)?);
            last = Some(id);
        }
        Ok(page)
    }

    fn dead_letter(&self, snapshot: &Snapshot, id: &DeliveryId) -> Result<DeadLetter, IndexError> {
        let row = snapshot
            .get(&self.tables.deliveries, id.encode())?
            .ok_or(IndexError::Damaged("a dead letter"))?;
        let row: Row = decode(&row, "a dead letter")?;
        let delivery = self.view(snapshot, id, &row)?;
        Ok(DeadLetter { log_sequence: id.log_sequence, index: id.index, source: row.source, delivery })
    }

    fn view(&self, snapshot: &Snapshot, id: &DeliveryId, row: &Row) -> Result<DeliveryView, IndexError> {
        let mut attempts = Vec::new();
        for entry in snapshot.prefix(&self.tables.attempts, attempts_prefix(&id.encode())) {
            let attempt: floodgate_event::proto::Attempt = decode(&entry.value()?, "an attempt")?;
            attempts.push(AttemptView::from(attempt));
        }
        Ok(DeliveryView::new(id, row, attempts))
    }
}

impl DeliveryId {
    /// A form that is safe in a query string.
    fn to_text(&self) -> String {
        format!("{}.{}.{}.{}", self.log_sequence, self.index, self.generation, self.destination)
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, '.');
        Some(Self {
            log_sequence: parts.next()?.parse().ok()?,
            index: parts.next()?.parse().ok()?,
            generation: parts.next()?.parse().ok()?,
            destination: parts.next()?.parse().ok()?,
        })
    }
}

/// Why a page of dead letters cannot be given.
#[derive(Debug, thiserror::Error)]
pub enum DeadLettersError {
    /// The caller's fault.
    #[error("`after` is not the `next` of an earlier page")]
    After,
    /// The index's.
    #[error(transparent)]
    Index(#[from] IndexError),
}
