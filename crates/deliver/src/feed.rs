//! What a worker does next: a bounded window on its destination's queue in the index.
//!
//! There is no other queue. A destination that cannot keep up has its deliveries on disk, and takes nothing
//! from anybody else; one that keeps up finds them in the index's memory.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use floodgate_clock::Clock;
use floodgate_event::Name;

use super::ForwardError;
use super::index::{DeliveryId, DeliveryIndex, Page, Queue, Queued, Scan};

/// Deliveries of each queue that a worker holds ready.
const WINDOW: usize = 256;
/// How often retries are read from the beginning. In between they are read on behind the last one taken; a
/// clock that was set back, or a wait of no time, puts some before it.
const REWIND: Duration = Duration::from_secs(5);

/// The window of one destination.
pub(super) struct Feed {
    index: Arc<DeliveryIndex>,
    clock: Clock,
    destination: Name,
    first: Window,
    retry: Window,
    /// Ready or under way, with the attempts recorded before.
    /// At most both windows and the destination's concurrency.
    taken: HashMap<DeliveryId, u32>,
    /// Those of them that are due again already: the journal is ahead of the task that made the attempt.
    again: HashMap<DeliveryId, Queued>,
    rewound: Instant,
    /// Whether the last one taken was a retry.
    turn: Queue,
}

#[derive(Default)]
struct Window {
    ready: VecDeque<Queued>,
    behind: Option<Vec<u8>>,
    next_due_us: Option<u64>,
}

impl Window {
    fn wants_more(&self) -> bool {
        self.ready.len() <= WINDOW / 2
    }
}

impl Feed {
    pub(super) fn new(index: Arc<DeliveryIndex>, clock: Clock, destination: Name) -> Self {
        Self {
            index,
            clock,
            destination,
            first: Window::default(),
            retry: Window::default(),
            taken: HashMap::new(),
            again: HashMap::new(),
            rewound: Instant::now(),
            turn: Queue::Retry,
        }
    }

    /// Fills both windows with what is due.
    pub(super) async fn refill(&mut self) -> Result<(), ForwardError> {
        if self.rewound.elapsed() >= REWIND {
            self.rewound = Instant::now();
            self.retry.behind = None;
        }
        self.refill_one(Queue::First).await?;
        self.refill_one(Queue::Retry).await
    }

    async fn refill_one(&mut self, queue: Queue) -> Result<(), ForwardError> {
        let window = self.window(queue);
        if !window.wants_more() {
            return Ok(());
        }
        let room = WINDOW - window.ready.len();
        let behind = window.behind.clone();
        // Those that are taken may be met again after a rewind, and must not use up the page.
        let limit = room + self.taken.len();
        let until_us = self.clock.now_us();
        let page = self.read(Scan { queue, behind, until_us, limit }).await?;
        let window = self.window(queue);
        window.next_due_us = page.next_due_us;
        if page.last.is_some() {
            window.behind = page.last;
        }
        for delivery in page.deliveries {
            self.offer(queue, delivery);
        }
        Ok(())
    }

    fn offer(&mut self, queue: Queue, delivery: Queued) {
        match self.taken.get(&delivery.id) {
            None => {
                self.taken.insert(delivery.id.clone(), delivery.attempts);
                self.window(queue).ready.push_back(delivery);
            }
            Some(&attempts) if attempts < delivery.attempts => {
                self.again.insert(delivery.id.clone(), delivery);
            }
            Some(_) => {}
        }
    }

    async fn read(&self, scan: Scan) -> Result<Page, ForwardError> {
        let (index, destination) = (Arc::clone(&self.index), self.destination.clone());
        Ok(tokio::task::spawn_blocking(move || index.page(&destination, scan)).await??)
    }

    /// The next delivery: the two queues take turns, so that neither starves the other. Retries only while
    /// `retries_may_start`.
    pub(super) fn take(&mut self, retries_may_start: bool) -> Option<(Queue, Queued)> {
        let retry_ready = retries_may_start && !self.retry.ready.is_empty();
        let queue = match (self.first.ready.is_empty(), retry_ready) {
            (true, false) => return None,
            (true, true) => Queue::Retry,
            (false, false) => Queue::First,
            (false, true) if self.turn == Queue::First => Queue::Retry,
            (false, true) => Queue::First,
        };
        self.turn = queue;
        self.window(queue).ready.pop_front().map(|delivery| (queue, delivery))
    }

    /// Whether [`Self::take`] would give one.
    pub(super) fn has_ready(&self, retries_may_start: bool) -> bool {
        !self.first.ready.is_empty() || (retries_may_start && !self.retry.ready.is_empty())
    }

    /// Reads everything anew, but for what is under way: gives that.
    pub(super) fn rewind(&mut self) -> HashSet<DeliveryId> {
        for window in [&mut self.first, &mut self.retry] {
            for ready in std::mem::take(window).ready {
                self.taken.remove(&ready.id);
            }
        }
        self.taken.keys().cloned().collect()
    }

    /// An attempt ended, and is in the index.
    pub(super) fn done(&mut self, delivery: &DeliveryId) {
        self.taken.remove(delivery);
        if let Some(again) = self.again.remove(delivery) {
            self.offer(Queue::Retry, again);
        }
    }

    /// How long until there is something new to read, if nothing happens before.
    /// A full window is not read to.
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
    use super::*;

    fn feed(first: u32, retry: u32) -> Feed {
        let folder = tempfile::tempdir().unwrap();
        let index = Arc::new(DeliveryIndex::open(folder.path(), 0).unwrap());
        let destination: Name = "shop".parse().unwrap();
        let mut feed = Feed::new(index, Clock::new(None), destination.clone());
        for index in 0..first + retry {
            let id = DeliveryId { log_sequence: 1, index, generation: 0, destination: destination.clone() };
            let queue = if index < first { Queue::First } else { Queue::Retry };
            let queued = Queued { id, attempts: 0, matched_by: 1 };
            feed.taken.insert(queued.id.clone(), 0);
            feed.window(queue).ready.push_back(queued);
        }
        feed
    }

    #[test]
    fn the_queues_take_turns() {
        let mut feed = feed(3, 2);
        let order: Vec<_> = std::iter::from_fn(|| feed.take(true)).map(|(queue, _)| queue).collect();
        assert_eq!(order, [Queue::First, Queue::Retry, Queue::First, Queue::Retry, Queue::First]);
    }

    #[test]
    fn retries_wait_while_they_may_not_start() {
        let mut feed = feed(1, 1);
        assert_eq!(feed.take(false).map(|(queue, _)| queue), Some(Queue::First));
        assert!(!feed.has_ready(false) && feed.take(false).is_none());
        assert!(feed.has_ready(true));
    }

    #[test]
    fn what_is_due_again_before_its_attempt_ended_comes_afterwards() {
        let mut feed = feed(0, 0);
        let id =
            DeliveryId { log_sequence: 1, index: 0, generation: 0, destination: "shop".parse().unwrap() };
        let queued = |attempts| Queued { id: id.clone(), attempts, matched_by: 1 };
        feed.offer(Queue::First, queued(0));
        assert!(feed.take(true).is_some());
        feed.offer(Queue::Retry, queued(0));
        feed.offer(Queue::Retry, queued(1));
        assert!(feed.take(true).is_none());
        feed.done(&id);
        assert_eq!(feed.take(true), Some((Queue::Retry, queued(1))));
        feed.done(&id);
        assert!(feed.take(true).is_none() && feed.taken.is_empty());
    }

    #[test]
    fn a_feed_that_is_rewound_keeps_what_is_under_way() {
        let mut feed = feed(3, 1);
        let (_, taken) = feed.take(true).unwrap();
        assert_eq!(feed.rewind(), HashSet::from([taken.id.clone()]));
        assert!(!feed.has_ready(true));
        feed.done(&taken.id);
        assert!(feed.rewind().is_empty());
    }

    #[test]
    fn a_full_window_does_not_wake_for_what_is_due() {
        let mut feed = feed(0, 256);
        feed.retry.next_due_us = Some(1);
        assert_eq!(feed.wait(), REWIND);
        feed.retry.ready.truncate(1);
        assert_eq!(feed.wait(), Duration::ZERO);
    }
}
