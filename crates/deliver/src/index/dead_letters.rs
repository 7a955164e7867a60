//! Dead letters: deliveries that were given up, listed a page at a time in the order of the log.

use std::ops::Bound;

use fjall::{Readable as _, Snapshot};
use floodgate_api::event::Delivery;

use super::key::DeliveryId;
use super::storage::decode;
use super::values::DeliveryRow;
use super::{DeliveryIndex, IndexError};

/// A delivery that was given up after its last attempt, or after an answer of 410.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The sequence of the log block that stores the event.
    pub log_sequence: u64,
    /// The event's place in that block.
    pub index: u32,
    /// The name of the event's source.
    pub source: String,
    /// The delivery with its attempts.
    pub delivery: Delivery,
}

/// A page of dead letters.
#[derive(Clone, Debug, Default)]
pub struct DeadLetters {
    /// At most [`DeliveryIndex::MAX_PAGE`] dead letters.
    pub items: Vec<DeadLetter>,
    /// The `after` of the next page; absent on the last one.
    pub next: Option<String>,
}

impl DeliveryIndex {
    /// The most dead letters that a page has.
    pub const MAX_PAGE: usize = 500;

    /// Returns up to `limit` dead letters, and at most [`Self::MAX_PAGE`]. `after` is the `next` of the page
    /// before.
    ///
    /// # Errors
    /// [`DeadLettersError::After`] if `after` is not the `next` of a page, and otherwise if the index cannot
    /// be read.
    pub fn dead_letters(&self, limit: usize, after: Option<&str>) -> Result<DeadLetters, DeadLettersError> {
        let from = match after {
            Some(text) => {
                Bound::Excluded(DeliveryId::from_text(text).ok_or(DeadLettersError::After)?.encode())
            }
            None => Bound::Unbounded,
        };
        Ok(self.dead_letters_from(limit.clamp(1, Self::MAX_PAGE), from)?)
    }

    fn dead_letters_from(&self, limit: usize, from: Bound<Vec<u8>>) -> Result<DeadLetters, IndexError> {
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
        let row: DeliveryRow = decode(&row, "a dead letter")?;
        let delivery = self.delivery(snapshot, id, &row)?;
        Ok(DeadLetter { log_sequence: id.log_sequence, index: id.index, source: row.source, delivery })
    }
}

impl DeliveryId {
    /// Returns a form of the key that is safe in a query string.
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

/// Why a page of dead letters cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DeadLettersError {
    /// The caller passed an `after` that is not the `next` of a page.
    #[error("`after` is not the `next` of an earlier page")]
    After,
    /// The index cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
}
