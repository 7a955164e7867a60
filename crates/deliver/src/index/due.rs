//! Reads a destination's queue of open deliveries, a bounded page at a time.

use std::collections::HashMap;
use std::ops::Bound;

use floodgate_event::Name;
use floodgate_event::schedule::RetrySchedule;

use super::key::{DeliveryId, queue_end, queue_from, split_queue_key};
use super::storage::decode;
use super::values::QueueRow;
use super::{DeliveryIndex, IndexError};

/// Which of a destination's two queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queue {
    /// Deliveries that were never attempted, in the order of the journal.
    First,
    /// Deliveries that were attempted before, by due time.
    Retry,
}

impl Queue {
    /// The due times of this queue's keys, from and to, without the latter.
    fn span(self) -> (u64, u64) {
        match self {
            Self::First => (0, 1),
            Self::Retry => (1, u64::MAX),
        }
    }
}

/// A delivery that is open, as its queue has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenDelivery {
    pub(crate) id: DeliveryId,
    /// The number of attempts that are recorded so far.
    pub(crate) attempts: u32,
    /// The revision of the configuration that the delivery was matched by.
    pub(crate) matched_by: u64,
}

/// Where to start reading a queue, and how much to read.
#[derive(Clone, Debug)]
pub(crate) struct Scan {
    pub(crate) queue: Queue,
    /// The key after which to start, or none to start from the beginning. What was removed from a queue
    /// leaves tombstones until the storage engine compacts. Reading over them each time would cost more the
    /// busier a destination is.
    pub(crate) after: Option<Vec<u8>>,
    /// Only deliveries that are due by then, as Unix time in microseconds.
    pub(crate) until_us: u64,
    /// The most deliveries to return.
    pub(crate) limit: usize,
}

/// A page of a queue.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) deliveries: Vec<OpenDelivery>,
    /// The key after which the next page starts. None if the page is empty, or has only deliveries that are
    /// due later than any schedule puts them.
    pub(crate) last: Option<Vec<u8>>,
    /// When the first delivery after the page is due, if it is not due yet, as Unix time in microseconds.
    pub(crate) next_due_us: Option<u64>,
}

impl DeliveryIndex {
    /// Returns deliveries that are due. This includes those whose time is further ahead than any retry
    /// schedule can put it: the clock was wrong when that time was written, and it is not known by how much.
    ///
    /// # Errors
    /// If the index cannot be read.
    pub(crate) fn due(&self, destination: &Name, scan: Scan) -> Result<Page, IndexError> {
        let (from, to) = scan.queue.span();
        let from = match scan.after {
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
            page.deliveries.push(open_delivery(&value)?);
        }
        if scan.queue == Queue::Retry {
            self.add_beyond_schedule(destination, &mut page, scan.until_us, scan.limit)?;
        }
        Ok(page)
    }

    /// Adds the deliveries that are due later than any schedule puts them. They are at the queue's end, so
    /// the next page does not start after them.
    fn add_beyond_schedule(
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
            page.deliveries.push(open_delivery(&entry.value()?)?);
        }
        Ok(())
    }

    /// Counts open deliveries by destination.
    pub(super) fn count_open(&self) -> Result<HashMap<Name, u64>, IndexError> {
        let mut open = HashMap::new();
        for entry in self.tables.queue.iter() {
            let (destination, _) = split_queue_key(&entry.key()?)?;
            *open.entry(destination).or_default() += 1;
        }
        Ok(open)
    }
}

fn open_delivery(value: &[u8]) -> Result<OpenDelivery, IndexError> {
    let row: QueueRow = decode(value, "a queue entry")?;
    let QueueRow { delivery, attempts, matched_by, .. } = row;
    Ok(OpenDelivery { id: DeliveryId::decode(&delivery)?, attempts, matched_by })
}
