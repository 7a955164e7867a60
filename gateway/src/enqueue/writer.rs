//! Publishes the blocks of one lane and shard. A request puts its own event into the queue and, if that makes
//! a block due, sets it going: no task in between has to be woken for each event.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use floodgate_event::LogRate;
use floodgate_event::block::{Destination, SealedBlock};
use prometheus::Histogram;
use tokio::task::yield_now;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::publisher::Publisher;
use super::queue::{Batch, Bounds, Full, Queue};
use super::{Entry, retry};
use crate::metrics::Metrics;

/// A queue and what empties it.
#[derive(Clone)]
pub(super) struct Writer(Arc<Inner>);

struct Inner {
    queue: Mutex<Queue>,
    destination: Destination,
    publisher: Publisher,
    /// A task for each block in flight.
    publishing: TaskTracker,
    metrics: Arc<Metrics>,
    seconds: Histogram,
    /// Of lines about blocks that did not become durable.
    failures: LogRate,
}

impl Writer {
    pub(super) fn new(
        destination: Destination,
        bounds: Bounds,
        publisher: Publisher,
        metrics: &Arc<Metrics>,
    ) -> Self {
        Self(Arc::new(Inner {
            queue: Mutex::new(Queue::new(bounds)),
            seconds: metrics.publish_seconds.with_label_values(&[destination.lane.as_str()]),
            destination,
            publisher,
            publishing: TaskTracker::new(),
            metrics: Arc::clone(metrics),
            failures: LogRate::new(),
        }))
    }

    /// Takes an entry; its sender is told once its block is on disk or has failed.
    pub(super) fn write(&self, entry: Entry) -> Result<(), Full> {
        let is_due = self.0.queue().push(entry)?;
        if is_due {
            // Of its own: a request that is cut off must not take its neighbours' block along.
            self.0.publishing.spawn(Arc::clone(&self.0).publish_blocks());
        }
        Ok(())
    }

    /// Takes no more entries, and waits until all of them are settled.
    pub(super) async fn flush(&self) {
        self.0.queue().close();
        self.0.publishing.close();
        self.0.publishing.wait().await;
    }
}

impl Inner {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics between two states of a queue.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes a block, and goes on while one is due when it is settled.
    async fn publish_blocks(self: Arc<Self>) {
        // Behind the requests that are ready by now: they belong into the same block.
        yield_now().await;
        let mut is_due = true;
        while is_due {
            let batch = self.queue().take();
            if let Some(batch) = batch {
                self.publish(batch).await;
            }
            is_due = self.queue().settle();
        }
    }

    async fn publish(&self, batch: Batch) {
        let since = batch.since;
        let events = batch.entries.iter().flat_map(|entry| &entry.events);
        let block = SealedBlock::join(events, &self.destination, SystemTime::now());
        // The encoded events are in the block now; who waits for them and what memory they take stays.
        let waiting: Vec<_> = batch.entries.into_iter().map(|entry| (entry.durable, entry.memory)).collect();
        let durable = self.is_durable(block, since).await;
        for (sender, _memory) in waiting {
            // Whoever does not wait any more has hung up.
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
