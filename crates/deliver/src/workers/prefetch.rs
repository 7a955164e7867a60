//! Reads a destination's due deliveries ahead of its worker, a bounded window at a time.
//!
//! The queue itself is in the delivery index, and there is no other. The deliveries of a destination that
//! cannot keep up wait on disk and take no memory from other destinations. A destination that keeps up finds
//! its deliveries in the index's cache.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use floodgate_clock::Clock;
use floodgate_event::Name;

use super::super::DispatchError;
use super::super::index::{DeliveryId, DeliveryIndex, OpenDelivery, Page, Queue, Scan};

/// How many deliveries of each queue a worker aims to hold ready.
const WINDOW: usize = 256;
/// How often retries are read from the beginning of their queue. In between, reading continues after the last
/// one that was read. A clock that was set back, or a retry without a delay, adds some before that.
const REWIND: Duration = Duration::from_secs(5);

/// The deliveries of one destination that are due, as far as they are read ahead.
pub(super) struct DueDeliveries {
    index: Arc<DeliveryIndex>,
    clock: Clock,
    destination: Name,
    first: Window,
    retry: Window,
    /// Deliveries that are ready or in flight, with the number of attempts recorded before. Bounded by both
    /// windows and the destination's concurrency.
    claimed: HashMap<DeliveryId, u32>,
    /// Those of them that are due again already, because the journal is ahead of the task that made the
    /// attempt.
    due_again: HashMap<DeliveryId, OpenDelivery>,
    rewound_at: Instant,
    /// The queue that the last delivery was taken from.
    last_taken: Queue,
}

#[derive(Default)]
struct Window {
    ready: VecDeque<OpenDelivery>,
    /// The key after which to continue reading.
    after: Option<Vec<u8>>,
    next_due_us: Option<u64>,
}

impl Window {
    fn wants_more(&self) -> bool {
        self.ready.len() <= WINDOW / 2
    }
}

impl DueDeliveries {
    pub(super) fn new(index: Arc<DeliveryIndex>, clock: Clock, destination: Name) -> Self {
        Self {
            index,
            clock,
            destination,
            first: Window::default(),
            retry: Window::default(),
            claimed: HashMap::new(),
            due_again: HashMap::new(),
            rewound_at: Instant::now(),
            last_taken: Queue::Retry,
        }
    }

    /// Fills both windows with deliveries that are due.
    pub(super) async fn refill(&mut self) -> Result<(), DispatchError> {
        if self.rewound_at.elapsed() >= REWIND {
            self.rewound_at = Instant::now();
            self.retry.after = None;
        }
        self.refill_one(Queue::First).await?;
        self.refill_one(Queue::Retry).await
    }

    async fn refill_one(&mut self, queue: Queue) -> Result<(), DispatchError> {
        let window = self.window(queue);
        if !window.wants_more() {
            return Ok(());
        }
        let room = WINDOW - window.ready.len();
        let after = window.after.clone();
        // After a rewind, claimed deliveries may be met again. They must not use up the page.
        let limit = room + self.claimed.len();
        let until_us = self.clock.now_us();
        let page = self.read(Scan { queue, after, until_us, limit }).await?;
        let window = self.window(queue);
        window.next_due_us = page.next_due_us;
        if page.last.is_some() {
            window.after = page.last;
        }
        for delivery in page.deliveries {
            self.add(queue, delivery);
        }
        Ok(())
    }

    fn add(&mut self, queue: Queue, delivery: OpenDelivery) {
        match self.claimed.get(&delivery.id) {
            None => {
                self.claimed.insert(delivery.id.clone(), delivery.attempts);
                self.window(queue).ready.push_back(delivery);
            }
            Some(&attempts) if attempts < delivery.attempts => {
                self.due_again.insert(delivery.id.clone(), delivery);
            }
            Some(_) => {}
        }
    }

    async fn read(&self, scan: Scan) -> Result<Page, DispatchError> {
        let (index, destination) = (Arc::clone(&self.index), self.destination.clone());
        Ok(tokio::task::spawn_blocking(move || index.due(&destination, scan)).await??)
    }

    /// Takes the next delivery. The two queues take turns, so that neither starves the other. Retries are
    /// taken only while `retries_may_start`.
    pub(super) fn take(&mut self, retries_may_start: bool) -> Option<(Queue, OpenDelivery)> {
        let retry_ready = retries_may_start && !self.retry.ready.is_empty();
        let queue = match (self.first.ready.is_empty(), retry_ready) {
            (true, false) => return None,
            (true, true) => Queue::Retry,
            (false, false) => Queue::First,
            (false, true) if self.last_taken == Queue::First => Queue::Retry,
            (false, true) => Queue::First,
        };
        self.last_taken = queue;
        self.window(queue).ready.pop_front().map(|delivery| (queue, delivery))
    }

    /// Returns true if [`Self::take`] would return a delivery.
    pub(super) fn has_ready(&self, retries_may_start: bool) -> bool {
        !self.first.ready.is_empty() || (retries_may_start && !self.retry.ready.is_empty())
    }

    /// Drops what is ready, so that it is read again, and returns what is in flight.
    pub(super) fn rewind(&mut self) -> HashSet<DeliveryId> {
        for window in [&mut self.first, &mut self.retry] {
            for ready in std::mem::take(window).ready {
                self.claimed.remove(&ready.id);
            }
        }
        self.claimed.keys().cloned().collect()
    }

    /// Releases a delivery whose attempt ended and is in the index.
    pub(super) fn done(&mut self, delivery: &DeliveryId) {
        self.claimed.remove(delivery);
        if let Some(again) = self.due_again.remove(delivery) {
            self.add(Queue::Retry, again);
        }
    }

    /// Returns how long until there is something new to read, if nothing happens before. While the window of
    /// retries is full, none is read, so none wakes the worker.
    pub(super) fn wait(&self) -> Duration {
        let due = self.retry.next_due_us.filter(|_| self.retry.wants_more());
        let until_due = due.map(|due| Duration::from_micros(due.saturating_sub(self.clock.now_us())));
        until_due.map_or(REWIND, |wait| wait.min(REWIND))
    }

    fn window(&mut self, queue: Queue) -> &mut Window {
        match queue {
            Queue::First => &mut self.first,
            Queue::Retry => &mut self.retry,
        }
    }
}

#[cfg(test)]
mod tests {
    use floodgate_event::ShardId;

    use super::*;

    fn due(first: u32, retry: u32) -> DueDeliveries {
        let folder = tempfile::tempdir().unwrap();
        let index = Arc::new(DeliveryIndex::open(folder.path(), ShardId::FIRST).unwrap());
        let destination: Name = "shop".parse().unwrap();
        let mut due = DueDeliveries::new(index, Clock::new(None), destination.clone());
        for index in 0..first + retry {
            let id = DeliveryId { log_sequence: 1, index, generation: 0, destination: destination.clone() };
            let queue = if index < first { Queue::First } else { Queue::Retry };
            let queued = OpenDelivery { id, attempts: 0, matched_by: 1 };
            due.claimed.insert(queued.id.clone(), 0);
            due.window(queue).ready.push_back(queued);
        }
        due
    }

    #[test]
    fn first_attempts_and_retries_take_turns() {
        let mut due = due(3, 2);
        let order: Vec<_> = std::iter::from_fn(|| due.take(true)).map(|(queue, _)| queue).collect();
        assert_eq!(order, [Queue::First, Queue::Retry, Queue::First, Queue::Retry, Queue::First]);
    }

    #[test]
    fn retries_are_not_taken_while_they_may_not_start() {
        let mut due = due(1, 1);
        assert_eq!(due.take(false).map(|(queue, _)| queue), Some(Queue::First));
        assert!(!due.has_ready(false) && due.take(false).is_none());
        assert!(due.has_ready(true));
    }

    #[test]
    fn a_delivery_that_is_due_again_is_taken_only_after_its_attempt_ended() {
        let mut due = due(0, 0);
        let id =
            DeliveryId { log_sequence: 1, index: 0, generation: 0, destination: "shop".parse().unwrap() };
        let queued = |attempts| OpenDelivery { id: id.clone(), attempts, matched_by: 1 };
        due.add(Queue::First, queued(0));
        assert!(due.take(true).is_some());
        due.add(Queue::Retry, queued(0));
        due.add(Queue::Retry, queued(1));
        assert!(due.take(true).is_none());
        due.done(&id);
        assert_eq!(due.take(true), Some((Queue::Retry, queued(1))));
        due.done(&id);
        assert!(due.take(true).is_none() && due.claimed.is_empty());
    }

    #[test]
    fn a_rewind_keeps_what_is_in_flight() {
        let mut due = due(3, 1);
        let (_, taken) = due.take(true).unwrap();
        assert_eq!(due.rewind(), HashSet::from([taken.id.clone()]));
        assert!(!due.has_ready(true));
        due.done(&taken.id);
        assert!(due.rewind().is_empty());
    }

    #[test]
    fn a_full_window_does_not_wake_the_worker() {
        let mut due = due(0, 256);
        due.retry.next_due_us = Some(1);
        assert_eq!(due.wait(), REWIND);
        due.retry.ready.truncate(1);
        assert_eq!(due.wait(), Duration::ZERO);
    }
}
