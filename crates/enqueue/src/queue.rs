//! The queue of a lane and shard, which decides when a block is due. There is no timer. If no block is in
//! flight, an event is published as soon as the requests that arrived with it are in its block. While a block
//! is in flight, the next one is due when it has its share of events, or when the one before it is settled.
//! The server syncs the messages of a stream one after the other, so a smaller block would cost a sync and
//! not be faster (as in Nagle's algorithm, [RFC 896](https://www.rfc-editor.org/rfc/rfc896)).

use std::collections::VecDeque;

use tokio::time::Instant;

use super::{Bounds, Entry};

/// Entries that will share a block.
pub(super) struct Batch {
    pub(super) entries: Vec<Entry>,
    /// When the first entry arrived.
    pub(super) since: Instant,
    events: usize,
    bytes: usize,
}

/// The queue of a lane and shard. A caller that learns that a block is due [takes](Queue::take) a batch,
/// publishes it and [settles](Queue::settle) it. While an entry waits, a block is due or in flight, so no
/// entry is forgotten.
pub(super) struct Queue {
    /// The batches in order. Only the last one still takes entries.
    batches: VecDeque<Batch>,
    waiting: usize,
    in_flight: usize,
    /// How many of the blocks in flight are due and not taken yet.
    called: usize,
    closed: bool,
    bounds: Bounds,
}

/// The queue takes no entry, because it is full or closed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Queue {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { batches: VecDeque::new(), waiting: 0, in_flight: 0, called: 0, closed: false, bounds }
    }

    /// Adds an entry. Returns true if a block is due.
    pub(super) fn push(&mut self, entry: Entry) -> Result<bool, Full> {
        if self.closed || self.waiting >= self.bounds.waiting {
            return Err(Full);
        }
        self.waiting += entry.events.len();
        match self.batches.back_mut().filter(|batch| batch.takes(&entry, self.bounds)) {
            Some(batch) => batch.add(entry),
            None => {
                let mut batch = Batch::new();
                batch.add(entry);
                self.batches.push_back(batch);
            }
        }
        Ok(self.call())
    }

    /// Takes the next batch to publish. None only if no block was due.
    pub(super) fn take(&mut self) -> Option<Batch> {
        let batch = self.batches.pop_front()?;
        self.waiting -= batch.events;
        self.called -= 1;
        Some(batch)
    }

    /// Records that a batch is on disk or has failed. Returns true if another block is due.
    pub(super) fn settle(&mut self) -> bool {
        self.in_flight -= 1;
        self.call()
    }

    /// How many events wait for a block to be taken.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Refuses all later entries.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    fn call(&mut self) -> bool {
        let is_due = self.in_flight < self.bounds.in_flight
            && self.batches.len() > self.called
            && self.batches.front().is_some_and(|first| {
                self.in_flight == 0 || self.batches.len() > 1 || first.has_its_share(self.bounds)
            });
        if is_due {
            self.in_flight += 1;
            self.called += 1;
        }
        is_due
    }
}

impl Batch {
    fn new() -> Self {
        Self { entries: Vec::new(), since: Instant::now(), events: 0, bytes: 0 }
    }

    fn takes(&self, entry: &Entry, bounds: Bounds) -> bool {
        self.events + entry.events.len() <= bounds.events && self.bytes + entry.size <= bounds.bytes
    }

    /// Returns true if the batch holds a full block divided by the blocks in flight.
    fn has_its_share(&self, bounds: Bounds) -> bool {
        self.events * bounds.in_flight >= bounds.events || self.bytes * bounds.in_flight >= bounds.bytes
    }

    fn add(&mut self, entry: Entry) {
        self.events += entry.events.len();
        self.bytes += entry.size;
        self.entries.push(entry);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use floodgate_event::block::EncodedEvent;
    use floodgate_event::proto::Event;
    use floodgate_listen::Reservation;
    use tokio::sync::oneshot;

    use super::*;

    const BOUNDS: Bounds =
        Bounds { waiting: 20, events: 8, bytes: 1_000, in_flight: 2, timeout: Duration::ZERO };

    fn entry(events: usize, size: usize) -> Entry {
        let event = EncodedEvent::new("github".parse().unwrap(), &Event::default());
        let (memory, durable) = (Reservation::uncounted(), oneshot::channel().0);
        Entry { events: vec![event; events], size, memory, durable }
    }

    /// Pushes one entry and says how many events are to be published now.
    fn push(queue: &mut Queue, events: usize) -> Option<usize> {
        let due = queue.push(entry(events, 10)).unwrap();
        due.then(|| queue.take().unwrap().events)
    }

    fn settle(queue: &mut Queue) -> Option<usize> {
        let due = queue.settle();
        due.then(|| queue.take().unwrap().events)
    }

    #[test]
    fn who_comes_before_a_block_is_taken_is_in_it() {
        let mut queue = Queue::new(BOUNDS);
        assert_eq!([1, 1, 4].map(|events| queue.push(entry(events, 10))), [Ok(true), Ok(false), Ok(false)]);
        assert_eq!(queue.push(entry(3, 10)), Ok(true), "more than one block's worth calls for a second");
        assert_eq!([queue.take(), queue.take()].map(|batch| batch.unwrap().events), [6, 3]);
        assert!(queue.take().is_none());
    }

    #[test]
    fn goes_at_once_then_in_shares_then_as_large_as_it_may_be() {
        let mut queue = Queue::new(BOUNDS);
        assert_eq!(push(&mut queue, 1), Some(1));
        assert_eq!([1, 1, 1].map(|events| push(&mut queue, events)), [None; 3]);
        assert_eq!(push(&mut queue, 1), Some(4));
        assert_eq!([1; 10].map(|events| push(&mut queue, events)), [None; 10]);
        assert_eq!(settle(&mut queue), Some(8));
        assert_eq!(settle(&mut queue), None, "two have neither their share nor a free way");
        assert_eq!(settle(&mut queue), Some(2));
        assert_eq!((settle(&mut queue), queue.in_flight, queue.waiting), (None, 0, 0));
    }

    #[test]
    fn what_does_not_fit_begins_the_next_block() {
        let mut queue = Queue::new(BOUNDS);
        assert_eq!(push(&mut queue, 12), Some(12), "a split stays together");
        assert_eq!(push(&mut queue, 3), None);
        assert_eq!(queue.push(entry(1, 5_000)), Ok(true));
        assert_eq!(queue.take().unwrap().events, 3);
        assert_eq!(settle(&mut queue), Some(1), "the large one goes alone");
    }

    #[test]
    fn a_full_or_closed_queue_takes_nothing() {
        let mut queue = Queue::new(BOUNDS);
        while let Ok(due) = queue.push(entry(5, 10)) {
            assert_eq!(due, due && queue.take().is_some());
        }
        assert_eq!((queue.in_flight, queue.waiting), (2, 20));
        assert!(settle(&mut queue).is_some());
        assert!(queue.push(entry(1, 10)).is_ok());
        queue.close();
        assert_eq!(queue.push(entry(1, 10)).err(), Some(Full));
        while queue.in_flight > 0 {
            settle(&mut queue);
        }
        assert_eq!(queue.waiting, 0, "what it had taken still goes out");
    }
}
