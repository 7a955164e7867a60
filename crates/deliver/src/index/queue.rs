//! Reading a destination's queue, a bounded page at a time.

use std::collections::HashMap;
use std::ops::Bound;

use floodgate_event::Name;
use floodgate_event::schedule::RetrySchedule;

use super::key::{DeliveryId, queue_end, queue_from, split_queue_key};
use super::row::QueueRow;
use super::tables::decode;
use super::{DeliveryIndex, IndexError};

/// Which part of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queue {
    /// Never attempted, in the order of the journal.
    First,
    /// Attempted before, in order of due time.
    Retry,
}

impl Queue {
    /// The due times that it spans.
    fn span(self) -> (u64, u64) {
        match self {
            Self::First => (0, 1),
            Self::Retry => (1, u64::MAX),
        }
    }
}

/// An open delivery in its queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Queued {
    pub(crate) id: DeliveryId,
    /// Attempts recorded so far.
    pub(crate) attempts: u32,
    /// The configuration's revision that it was matched by.
    pub(crate) matched_by: u64,
}

/// Where to read on, and how much.
#[derive(Clone, Debug)]
pub(crate) struct Scan {
    pub(crate) queue: Queue,
    /// The key to read on behind; from the beginning if none. What was taken leaves traces until the storage
    /// engine tidies up, and going over them each time would cost more the busier a destination is.
    pub(crate) behind: Option<Vec<u8>>,
    /// Due until then: Unix time in microseconds.
    pub(crate) until_us: u64,
    /// The most deliveries to give.
    pub(crate) limit: usize,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) deliveries: Vec<Queued>,
    /// The last key that was looked at, if any was.
    pub(crate) last: Option<Vec<u8>>,
    /// When the next one behind the page is due, if it is not due yet.
    pub(crate) next_due_us: Option<u64>,
}

impl DeliveryIndex {
    /// Deliveries that are due: also those whose time is further ahead than any schedule puts it.
    /// A clock was wrong when it was written, and nobody can tell by how much.
    pub(crate) fn page(&self, destination: &Name, scan: Scan) -> Result<Page, IndexError> {
        let (from, to) = scan.queue.span();
        let from = match scan.behind {
            Some(key) => Bound::Excluded(key),
            None => Bound::Included(queue_from(destination, from)),
        };
        let range = (from, Bound::Excluded(queue_from(destination, to)));
        let mut page = Page::default();
        for entry in self.tables.queue.range::<Vec<u8>, _>(range) {
            let (key, value) = entry.into_inner()?;
            let (_, due_us) = split_queue_key(&key)?;
            if due_us > scan.until_us {
                page.next_due_us = Some(due_us);
                break;
            }
            if page.deliveries.len() == scan.limit {
                break;
            }
            page.last = Some(key.to_vec());
            page.deliveries.push(queued(&value)?);
        }
        if scan.queue == Queue::Retry {
            self.add_absurd(destination, &mut page, scan.until_us, scan.limit)?;
        }
        Ok(page)
    }

    /// They stand at the queue's end, and are no place to read on behind.
    fn add_absurd(
        &self,
        destination: &Name,
        page: &mut Page,
        now_us: u64,
        limit: usize,
    ) -> Result<(), IndexError> {
        let longest = u64::try_from(RetrySchedule::LONGEST.as_micros()).unwrap_or(u64::MAX);
        let from = queue_from(destination, now_us.saturating_add(longest).saturating_add(1));
        let end = queue_end(destination);
        for entry in self.tables.queue.range(from..end).take(limit.saturating_sub(page.deliveries.len())) {
            page.deliveries.push(queued(&entry.value()?)?);
        }
        Ok(())
    }

    /// Open deliveries by destination.
    pub(super) fn count_open(&self) -> Result<HashMap<Name, u64>, IndexError> {
        let mut open = HashMap::new();
        for entry in self.tables.queue.iter() {
            let (destination, _) = split_queue_key(&entry.key()?)?;
            *open.entry(destination).or_default() += 1;
        }
        Ok(open)
    }
}

fn queued(value: &[u8]) -> Result<Queued, IndexError> {
    let row: QueueRow = decode(value, "a queue entry")?;
    let QueueRow { delivery, attempts, matched_by, .. } = row;
    Ok(Queued { id: DeliveryId::decode(&delivery)?, attempts, matched_by })
}
