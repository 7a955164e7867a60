//! Fills blocks of one lane and shard. There is no linger: with nothing in flight an event goes at once. While a
//! block is in flight the next one goes when it has its share of events, or when the one before it is settled: the
//! server syncs a stream's messages one after the other, so a smaller one would only cost a sync and not be sooner
//! (as in Nagle's algorithm, [RFC 896](https://www.rfc-editor.org/rfc/rfc896)).

use std::future::Future;
use std::mem;
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
    /// The block that is being filled, and who waits for it.
    open: OpenBlock,
    waiting: Waiting,
    /// Came out of the queue and did not fit the block.
    held: Option<Entry>,
    publisher: Publisher,
    bounds: Bounds,
    metrics: Arc<Metrics>,
    seconds: Histogram,
}

/// Who waits for a block, and the memory that it takes.
type Waiting = Vec<(oneshot::Sender<bool>, Reservation)>;

/// Bounds of blocks.
struct Bounds {
    events: usize,
    bytes: usize,
    in_flight: usize,
}

impl Writer {
    pub(super) fn new(
        destination: Destination,
        entries: mpsc::Receiver<Entry>,
        publisher: Publisher,
        limits: &Limits,
        metrics: &Arc<Metrics>,
    ) -> Self {
        Self {
            seconds: metrics.publish_seconds.with_label_values(&[destination.lane.as_str()]),
            destination,
            entries,
            open: OpenBlock::default(),
            waiting: Waiting::new(),
            held: None,
            publisher,
            bounds: Bounds {
                events: limits.block_events,
                bytes: limits.block_bytes,
                in_flight: limits.blocks_in_flight,
            },
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
                entry = self.entries.recv(), if self.held.is_none() => match entry {
                    Some(entry) => self.fill(entry),
                    None => break,
                }
            }
            while self.is_due(in_flight.len()) {
                in_flight.push(self.send());
            }
        }
        while !self.open.is_empty() {
            in_flight.push(self.send());
        }
        while in_flight.next().await.is_some() {}
    }

    /// Puts `first` and whatever else waits into the open block, until one does not fit.
    fn fill(&mut self, first: Entry) {
        let mut next = Some(first);
        while let Some(entry) = next {
            if !self.fits(&entry) {
                self.held = Some(entry);
                return;
            }
            self.add(entry);
            next = self.entries.try_recv().ok();
        }
    }

    /// A block takes at least one, however large.
    fn fits(&self, entry: &Entry) -> bool {
        let (events, bytes) = (self.open.len() + entry.events.len(), self.open.size() + entry.size);
        self.open.is_empty() || (events <= self.bounds.events && bytes <= self.bounds.bytes)
    }

    fn add(&mut self, entry: Entry) {
        entry.events.iter().for_each(|event| self.open.push(event));
        self.waiting.push((entry.durable, entry.memory));
    }

    fn is_due(&self, in_flight: usize) -> bool {
        let Bounds { events, bytes, in_flight: most } = self.bounds;
        let has_its_share = self.open.len() * most >= events || self.open.size() * most >= bytes;
        !self.open.is_empty() && in_flight < most && (in_flight == 0 || has_its_share || self.held.is_some())
    }

    /// Seals the open block and returns what brings it to disk; what was held begins the next one.
    fn send(&mut self) -> impl Future<Output = ()> + use<> {
        let block = mem::take(&mut self.open).seal(&self.destination, SystemTime::now());
        let waiting = mem::take(&mut self.waiting);
        if let Some(entry) = self.held.take() {
            self.fill(entry);
        }
        let (publisher, metrics, seconds) =
            (self.publisher.clone(), Arc::clone(&self.metrics), self.seconds.clone());
        async move {
            let durable = publish(&publisher, block, &metrics, &seconds).await;
            for (sender, _memory) in waiting {
                // Whoever does not wait any more has hung up.
                let _ = sender.send(durable);
            }
        }
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
