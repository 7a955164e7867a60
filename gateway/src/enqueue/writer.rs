//! Fills blocks of one lane and shard. There is no linger: a block is sealed as soon as there is an event and a free
//! place in flight, and while all places are taken the next block's events gather in the queue.

use std::future::Future;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use floodgate_event::block::{Destination, OpenBlock, SealedBlock};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use prometheus::Histogram;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Entry;
use super::publisher::Publisher;
use crate::budget::Reservation;
use crate::config::Limits;
use crate::metrics::Metrics;

/// Fills the blocks of a lane and shard.
pub(super) struct Writer {
    destination: Destination,
    entries: mpsc::Receiver<Entry>,
    /// Came out of the queue and did not fit the block before.
    held: Option<Entry>,
    publisher: Publisher,
    block_events: usize,
    block_bytes: usize,
    in_flight: usize,
    metrics: Arc<Metrics>,
    seconds: Histogram,
}

/// Who waits for a block, and the memory that it takes.
type Waiting = Vec<(oneshot::Sender<bool>, Reservation)>;

impl Writer {
    pub(super) fn new(
        destination: Destination,
        entries: mpsc::Receiver<Entry>,
        publisher: Publisher,
        limits: &Limits,
        metrics: &Arc<Metrics>,
    ) -> Self {
        Self {
            seconds: metrics
                .publish_seconds
                .with_label_values(&[destination.lane.as_str()]),
            destination,
            entries,
            held: None,
            publisher,
            block_events: limits.block_events,
            block_bytes: limits.block_bytes,
            in_flight: limits.blocks_in_flight,
            metrics: Arc::clone(metrics),
        }
    }

    /// Runs until the queue is closed and empty and every block is settled.
    pub(super) async fn run(mut self, closing: CancellationToken) {
        let mut in_flight = FuturesUnordered::new();
        loop {
            tokio::select! {
                () = closing.cancelled(), if !self.entries.is_closed() => self.entries.close(),
                Some(()) = in_flight.next(), if !in_flight.is_empty() => {}
                entry = self.next(), if in_flight.len() < self.in_flight => match entry {
                    Some(entry) => in_flight.push(self.send(entry)),
                    None => break,
                }
            }
        }
        while in_flight.next().await.is_some() {}
    }

    /// Loses nothing when it is dropped halfway.
    async fn next(&mut self) -> Option<Entry> {
        match self.held.take() {
            Some(entry) => Some(entry),
            None => self.entries.recv().await,
        }
    }

    /// Seals a block that begins with `first`, and returns what brings it to disk.
    fn send(&mut self, first: Entry) -> impl Future<Output = ()> + use<> {
        let (block, waiting) = self.fill(first);
        let block = block.seal(&self.destination, SystemTime::now());
        let (publisher, metrics, seconds) = (
            self.publisher.clone(),
            Arc::clone(&self.metrics),
            self.seconds.clone(),
        );
        async move {
            let durable = publish(&publisher, block, &metrics, &seconds).await;
            for (sender, _memory) in waiting {
                // Whoever does not wait any more has hung up.
                let _ = sender.send(durable);
            }
        }
    }

    fn fill(&mut self, first: Entry) -> (OpenBlock, Waiting) {
        let mut block = OpenBlock::default();
        let mut waiting = Waiting::new();
        let mut next = Some(first);
        while let Some(entry) = next {
            entry.events.iter().for_each(|event| block.push(event));
            waiting.push((entry.durable, entry.memory));
            next = self.entries.try_recv().ok();
            if next.as_ref().is_some_and(|entry| !self.fits(&block, entry)) {
                self.held = next.take();
            }
        }
        (block, waiting)
    }

    fn fits(&self, block: &OpenBlock, entry: &Entry) -> bool {
        block.len() + entry.events.len() <= self.block_events && block.size() + entry.size <= self.block_bytes
    }
}

async fn publish(publisher: &Publisher, block: SealedBlock, metrics: &Metrics, seconds: &Histogram) -> bool {
    let (id, events) = (block.id, block.events);
    let started = Instant::now();
    let result = publisher.publish(block).await;
    seconds.observe(started.elapsed().as_secs_f64());
    match result {
        Ok(()) => {
            metrics.blocks.inc();
            metrics.block_events.observe(events as f64);
            true
        }
        Err(error) => {
            metrics.blocks_failed.with_label_values(&[error.kind()]).inc();
            warn!(block = %id, events, subject = publisher.subject(), %error, "block not made durable");
            false
        }
    }
}
