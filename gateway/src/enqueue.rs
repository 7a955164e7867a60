//! The way onto the disk: events are coalesced into blocks, and [`Enqueued`] is only made from a block's publish
//! ack. Publishing never waits for a connection: without one it fails at once, and the sender tries again.

mod acks;
mod publisher;
mod writer;

use std::sync::Arc;

use floodgate_event::block::{Destination, EncodedEvent};
use floodgate_event::{EventId, Lane, Name};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::acks::Acks;
pub(crate) use self::publisher::MAX_BLOCK_BYTES;
use self::publisher::Publisher;
use self::writer::Writer;
use crate::budget::Reservation;
use crate::config::Limits;
use crate::link::Link;
use crate::metrics::Metrics;
use crate::stage::{Handled, HandlerAnswer};

/// An event that is on the region's disk. Holds what its sender is answered.
#[derive(Debug)]
pub(crate) struct Enqueued {
    id: EventId,
    answer: Option<HandlerAnswer>,
}

impl Enqueued {
    /// The event's id, and the handler's answer if one gave any.
    pub(crate) fn into_parts(self) -> (EventId, Option<HandlerAnswer>) {
        (self.id, self.answer)
    }
}

/// Why an event is not known to be on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotEnqueued {
    /// The process holds as much as it may.
    #[error("memory used up")]
    Memory,
    /// The lane's queue is full, or closed for good.
    #[error("queue full")]
    Queue,
    /// What handlers made of it does not fit a message.
    #[error("event too large for a block")]
    TooLarge,
    /// Its block got no ack. It may be on disk all the same, which is harmless: the sender's next try is a duplicate.
    #[error("no publish ack")]
    NoAck,
}

/// An event (after a split: and its children) on its way to a block.
struct Entry {
    events: Vec<EncodedEvent>,
    size: usize,
    /// Travels with the bytes: they are held until the block is done, also if the sender has gone away.
    memory: Reservation,
    durable: oneshot::Sender<bool>,
}

/// The queues of all lanes and shards, a [`Writer`] each.
#[derive(Debug)]
pub(crate) struct Enqueue {
    queues: Vec<mpsc::Sender<Entry>>,
    shards: u32,
    writers: TaskTracker,
    closing: CancellationToken,
}

impl Enqueue {
    /// Starts the writers.
    pub(crate) async fn start(
        link: &Link,
        region: &Name,
        gateway: &Name,
        shards: u32,
        limits: &Limits,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, async_nats::SubscribeError> {
        let acks = Acks::listen(link.client()).await?;
        let (writers, closing) = (TaskTracker::new(), CancellationToken::new());
        let mut queues = Vec::new();
        for (lane, shard) in
            Lane::ALL.into_iter().flat_map(|lane| (0..shards).map(move |shard| (lane, shard)))
        {
            let (sender, entries) = mpsc::channel(limits.queue_events);
            let destination =
                Destination { region: region.clone(), lane, shard, gateway: gateway.to_string() };
            let publisher = Publisher::new(link, acks.clone(), lane, shard, limits.publish_timeout());
            let writer = Writer::new(destination, entries, publisher, limits, metrics);
            writers.spawn(writer.run(closing.clone()));
            queues.push(sender);
        }
        writers.close();
        Ok(Self { queues, shards, writers, closing })
    }

    /// How many shards it was started for.
    pub(crate) fn shards(&self) -> u32 {
        self.shards
    }

    /// Puts an event into a block and waits for its publish ack.
    pub(crate) async fn put(
        &self,
        source: &Name,
        handled: Handled,
        mut memory: Reservation,
    ) -> Result<Enqueued, NotEnqueued> {
        let Handled { events, shard, answer } = handled;
        // A `Handled` is never empty, and ids and lanes in it are ours.
        let first = events.first().ok_or(NotEnqueued::Queue)?;
        let id = EventId::try_from(&*first.id).map_err(|_| NotEnqueued::Queue)?;
        let lane = Lane::try_from(first.lane).map_err(|_| NotEnqueued::Queue)?;
        let queue = self.queue(lane, shard).ok_or(NotEnqueued::Queue)?;

        let events: Vec<_> = events.iter().map(|event| EncodedEvent::new(source.clone(), event)).collect();
        let size = events.iter().map(EncodedEvent::framed_len).sum();
        if size > MAX_BLOCK_BYTES {
            return Err(NotEnqueued::TooLarge);
        }
        // Once as it waits, once in the block.
        memory.grow_by(2 * size).map_err(|_| NotEnqueued::Memory)?;
        let (durable, done) = oneshot::channel();
        queue.try_send(Entry { events, size, memory, durable }).map_err(|_| NotEnqueued::Queue)?;
        match done.await {
            Ok(true) => Ok(Enqueued { id, answer }),
            Ok(false) | Err(_) => Err(NotEnqueued::NoAck),
        }
    }

    fn queue(&self, lane: Lane, shard: u32) -> Option<&mpsc::Sender<Entry>> {
        let lane = Lane::ALL.iter().position(|&each| each == lane)?;
        let shard = usize::try_from(shard).ok()?;
        let shards = usize::try_from(self.shards).ok()?;
        if shard < shards { self.queues.get(lane * shards + shard) } else { None }
    }

    /// Takes no more events and waits until every block has its ack or has failed.
    pub(crate) async fn flush(&self) {
        self.closing.cancel();
        self.writers.wait().await;
    }
}
