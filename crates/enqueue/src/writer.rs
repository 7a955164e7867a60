//! Publishes the blocks of one lane and shard. A request puts its own event into the queue. If a block is due
//! then, it starts a task for the block, so that no other task must wake up for each event.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use floodgate_event::LogRate;
use floodgate_event::block::{Destination, SealedBlock};
use floodgate_ingress::QueueLevel;
use prometheus::Histogram;
use tokio::task::yield_now;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::publisher::Publisher;
use super::queue::{Batch, Full, Queue};
use super::{Bounds, EnqueueMetrics, Entry, retry};

/// A queue and the tasks that publish its blocks. Clones share it.
#[derive(Clone)]
pub(super) struct Writer(Arc<Inner>);

struct Inner {
    line: Mutex<Line>,
    destination: Destination,
    publisher: Publisher,
    /// The tasks of blocks in flight.
    publishing: TaskTracker,
    metrics: EnqueueMetrics,
    seconds: Histogram,
    /// Limits the log lines about blocks that did not become durable.
    failures: LogRate,
}

/// A queue and what it shows of itself.
struct Line {
    queue: Queue,
    level: QueueLevel,
}

impl Line {
    fn push(&mut self, entry: Entry) -> Result<bool, Full> {
        let is_due = self.queue.push(entry)?;
        self.level.set(self.queue.waiting());
        Ok(is_due)
    }

    fn take(&mut self) -> Option<Batch> {
        let batch = self.queue.take();
        self.level.set(self.queue.waiting());
        batch
    }
}

impl Writer {
    pub(super) fn new(
        destination: Destination,
        bounds: Bounds,
        publisher: Publisher,
        metrics: &EnqueueMetrics,
        level: QueueLevel,
    ) -> Self {
        Self(Arc::new(Inner {
            line: Mutex::new(Line { queue: Queue::new(bounds), level }),
            seconds: metrics.publish_seconds.with_label_values(&[destination.lane.as_str()]),
            destination,
            publisher,
            publishing: TaskTracker::new(),
            metrics: metrics.clone(),
            failures: LogRate::new(),
        }))
    }

    /// Adds an entry. Its sender gets the result once the block is on disk or has failed.
    pub(super) fn write(&self, entry: Entry) -> Result<(), Full> {
        let is_due = self.0.line().push(entry)?;
        if is_due {
            // The block has a task of its own, because a request that ends early must not end it.
            self.0.publishing.spawn(Arc::clone(&self.0).publish_blocks());
        }
        Ok(())
    }

    /// Refuses later entries, and waits until all blocks are settled.
    pub(super) async fn flush(&self) {
        self.0.line().queue.close();
        self.0.publishing.close();
        self.0.publishing.wait().await;
    }
}

impl Inner {
    fn line(&self) -> MutexGuard<'_, Line> {
        // Nothing panics between two states of a queue.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes blocks for as long as one is due after another is settled.
    async fn publish_blocks(self: Arc<Self>) {
        // Requests that are ready by now run first, because they belong into the same block.
        yield_now().await;
        let mut is_due = true;
        while is_due {
            let batch = self.line().take();
            if let Some(batch) = batch {
                self.publish(batch).await;
            }
            is_due = self.line().queue.settle();
        }
    }

    async fn publish(&self, batch: Batch) {
        let since = batch.since;
        let events = batch.entries.iter().flat_map(|entry| &entry.events);
        let block = SealedBlock::join(events, &self.destination, SystemTime::now());
        // The block holds the encoded events now. Only their senders and their memory are kept.
        let waiting: Vec<_> = batch.entries.into_iter().map(|entry| (entry.durable, entry.memory)).collect();
        let durable = self.is_durable(block, since).await;
        for (sender, _memory) in waiting {
            // Fails only if the sender has hung up.
            let _ = sender.send(durable);
        }
    }

    async fn is_durable(&self, block: SealedBlock, waiting_since: tokio::time::Instant) -> bool {
        let (id, events) = (block.id, block.events);
        let started = Instant::now();
        let result = retry::publish(&self.publisher, block, waiting_since).await;
        self.seconds.observe(started.elapsed().as_secs_f64());
        match result {
            Ok(()) => {
                self.metrics.blocks.inc();
                self.metrics.block_events.observe(events as f64);
                true
            }
            Err(error) => {
                self.metrics.blocks_failed.with_label_values(&[error.kind()]).inc();
                if let Some(left_out) = self.failures.admit() {
                    let subject = self.publisher.subject();
                    warn!(block = %id, events, subject, %error, left_out, "block not made durable");
                }
                false
            }
        }
    }
}
