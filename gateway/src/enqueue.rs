//! The way onto the disk: events are coalesced into blocks, and [`Enqueued`] is only made from a block's
//! publish ack. Within its time a block is published again if a cluster changes its leader or a connection is
//! lost; with a single server that is out of reach it fails at once, and the sender tries again.

mod acks;
mod publisher;
mod queue;
mod retry;
mod writer;

use std::sync::Arc;

use floodgate_event::block::{Destination, EncodedEvent};
use floodgate_event::{EventId, Lane, Name};
use floodgate_listen::Reservation;
use floodgate_sandbox::HandlerAnswer;
use futures::future::join_all;
use tokio::sync::oneshot;

use self::acks::Acks;
pub(crate) use self::publisher::MAX_BLOCK_BYTES;
use self::publisher::Publisher;
use self::queue::Full;
use self::writer::Writer;
use crate::config::Limits;
use crate::metrics::Metrics;
use crate::nats::Connection;
use crate::stage::Handled;

/// An event that is on the region's disk. Holds what its sender is answered.
#[derive(Debug)]
pub(crate) struct Enqueued {
    id: EventId,
    answer: Option<(HandlerAnswer, Reservation)>,
}

impl Enqueued {
    /// The event's id, and the handler's answer if one gave any, with the memory that it is counted in.
    pub(crate) fn into_parts(self) -> (EventId, Option<(HandlerAnswer, Reservation)>) {
        (self.id, self.answer)
    }
}

/// What becomes an [`Enqueued`] once the disk has it.
type Waiting = (Enqueued, oneshot::Receiver<bool>);

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
    /// Its block got no ack. It may be on disk all the same, which is harmless:
    /// the sender's next try is a duplicate.
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

/// Who publishes: what blocks say of where they come from.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) region: &'a Name,
    pub(crate) gateway: &'a Name,
}

/// The [`Writer`]s of all lanes and shards.
pub(crate) struct Enqueue {
    writers: Vec<Writer>,
    shards: u32,
}

impl Enqueue {
    /// Subscribes to publish acks.
    pub(crate) async fn start(
        nats: &Connection,
        origin: Origin<'_>,
        shards: u32,
        limits: &Limits,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, async_nats::SubscribeError> {
        let acks = Acks::listen(nats.client()).await?;
        let writer = |(lane, shard)| {
            let (region, gateway) = (origin.region.clone(), origin.gateway.to_string());
            let destination = Destination { region, lane, shard, gateway };
            let publisher =
                Publisher::new(nats, acks.clone(), (lane, shard), limits.publish_timeout(), metrics);
            Writer::new(destination, limits.into(), publisher, metrics)
        };
        let places = Lane::ALL.into_iter().flat_map(|lane| (0..shards).map(move |shard| (lane, shard)));
        Ok(Self { writers: places.map(writer).collect(), shards })
    }

    /// How many shards it was started for.
    pub(crate) fn shards(&self) -> u32 {
        self.shards
    }

    /// Puts an event into a block and waits for its publish ack.
    pub(crate) async fn put(&self, source: &Name, handled: Handled) -> Result<Enqueued, NotEnqueued> {
        let (enqueued, durable) = self.queue_up(source, handled)?;
        match durable.await {
            Ok(true) => Ok(enqueued),
            Ok(false) | Err(_) => Err(NotEnqueued::NoAck),
        }
    }

    /// Of the event only the encoded form is kept from here on, and what its sender is answered.
    fn queue_up(&self, source: &Name, handled: Handled) -> Result<Waiting, NotEnqueued> {
        let Handled { events, shard, answer, mut memory } = handled;
        // A `Handled` is never empty, and ids and lanes in it are ours.
        let first = events.first().ok_or(NotEnqueued::Queue)?;
        let id = EventId::try_from(&*first.id).map_err(|_| NotEnqueued::Queue)?;
        let lane = Lane::try_from(first.lane).map_err(|_| NotEnqueued::Queue)?;
        let writer = self.writer(lane, shard).ok_or(NotEnqueued::Queue)?;

        let events: Vec<_> = events.iter().map(|event| EncodedEvent::new(source.clone(), event)).collect();
        let size = events.iter().map(EncodedEvent::framed_len).sum();
        if size > MAX_BLOCK_BYTES {
            return Err(NotEnqueued::TooLarge);
        }
        // Once as it waits, once in the block.
        memory.grow_by(2 * size).map_err(|_| NotEnqueued::Memory)?;
        // The answer is held until it is written, which may be long after the block.
        // The chain has counted it.
        let answer = answer.map(|answer| {
            let held = memory.split(answer.body.len());
            (answer, held)
        });
        let (durable, done) = oneshot::channel();
        writer.write(Entry { events, size, memory, durable }).map_err(|Full| NotEnqueued::Queue)?;
        Ok((Enqueued { id, answer }, done))
    }

    fn writer(&self, lane: Lane, shard: u32) -> Option<&Writer> {
        let lane = Lane::ALL.iter().position(|&each| each == lane)?;
        let shard = usize::try_from(shard).ok()?;
        let shards = usize::try_from(self.shards).ok()?;
        if shard < shards { self.writers.get(lane * shards + shard) } else { None }
    }

    /// Takes no more events and waits until every block has its ack or has failed.
    pub(crate) async fn flush(&self) {
        join_all(self.writers.iter().map(Writer::flush)).await;
    }
}
