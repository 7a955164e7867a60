//! Writes events to the region's disk. Events share blocks, and only the publish ack of a block makes an
//! [`Enqueued`]. If a cluster changes its leader or a connection is lost, a block is published again until
//! its time is over. If the only server cannot be reached, the block fails at once, and the sender tries
//! again.

mod acks;
mod bounds;
mod handled;
mod metrics;
mod publisher;
mod queue;
mod retry;
mod writer;

use std::sync::Arc;

use bytes::Bytes;
use floodgate_event::block::{Destination, EncodedEvent};
use floodgate_event::{EventId, Lane, Name, ShardCount, ShardId};
use floodgate_ingress::Shedder;
use floodgate_listen::Reservation;
use floodgate_sandbox::HandlerAnswer;
use floodgate_stream::Connection;
use futures::future::join_all;
use tokio::sync::oneshot;

use self::acks::Acks;
pub use self::bounds::Bounds;
pub use self::handled::Handled;
pub use self::metrics::EnqueueMetrics;
pub use self::publisher::MAX_BLOCK_BYTES;
use self::publisher::Publisher;
use self::queue::Full;
use self::writer::Writer;

/// An event that is on the region's disk, with the answer for its sender.
#[derive(Debug)]
pub struct Enqueued {
    id: EventId,
    answer: Option<(HandlerAnswer, Reservation)>,
}

impl Enqueued {
    /// Returns the event's id, which the 2xx tells the sender.
    pub fn id(&self) -> EventId {
        self.id
    }

    /// The status that a handler answered with, if one did.
    pub fn answered(&self) -> Option<u16> {
        self.answer.as_ref().map(|(answer, _)| answer.status)
    }

    /// Keeps only the status of a handler's answer, and releases the memory of the rest.
    pub fn shorten_answer(&mut self) {
        if let Some((answer, memory)) = &mut self.answer {
            (answer.headers, answer.body) = (Vec::new(), Bytes::new());
            memory.shrink_to(0);
        }
    }

    /// The event's id, and the answer of a handler, if there is one, with the memory that it is counted in.
    pub fn into_parts(self) -> (EventId, Option<(HandlerAnswer, Reservation)>) {
        (self.id, self.answer)
    }
}

/// An [`Enqueued`] that counts once the receiver yields true.
type Waiting = (Enqueued, oneshot::Receiver<bool>);

/// Why an event is not known to be on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotEnqueued {
    /// The memory of the process is used up.
    #[error("memory used up")]
    Memory,
    /// The lane's queue is full or closed.
    #[error("queue full")]
    Queue,
    /// The result of the handlers does not fit a message.
    #[error("event too large for a block")]
    TooLarge,
    /// Its block got no ack. It may still be on disk, which is harmless: the sender's next try is a
    /// duplicate.
    #[error("no publish ack")]
    NoAck,
}

/// An event, or all children of a split, that waits for a block.
struct Entry {
    events: Vec<EncodedEvent>,
    size: usize,
    /// The memory of the events. It is held until the block is done, even if the sender has gone away.
    memory: Reservation,
    durable: oneshot::Sender<bool>,
}

/// The region and gateway that blocks name as their origin.
#[derive(Clone, Copy)]
pub struct Origin<'a> {
    /// The region to whose streams the blocks go.
    pub region: &'a Name,
    /// The gateway process that fills the blocks, by its name in the configuration.
    pub gateway: &'a Name,
}

/// The writers of all lanes and shards.
pub struct Enqueue {
    writers: Vec<Writer>,
    shards: ShardCount,
}

impl Enqueue {
    /// Subscribes to publish acks and creates the writers.
    ///
    /// # Errors
    /// If the acks cannot be subscribed to.
    pub async fn start(
        nats: &Connection,
        origin: Origin<'_>,
        shards: ShardCount,
        bounds: Bounds,
        (metrics, shedder): (&EnqueueMetrics, &Arc<Shedder>),
    ) -> Result<Self, async_nats::SubscribeError> {
        let acks = Acks::listen(nats.client()).await?;
        let writer = |(lane, shard)| {
            let (region, gateway) = (origin.region.clone(), origin.gateway.to_string());
            let destination = Destination { region, lane, shard, gateway };
            let publisher = Publisher::new(nats, acks.clone(), (lane, shard), bounds.timeout, metrics);
            Writer::new(destination, bounds, publisher, metrics, shedder.level())
        };
        let places = Lane::ALL.into_iter().flat_map(|lane| shards.ids().map(move |shard| (lane, shard)));
        Ok(Self { writers: places.map(writer).collect(), shards })
    }

    /// The number of shards that there are writers for.
    pub fn shards(&self) -> ShardCount {
        self.shards
    }

    /// Puts an event into a block and waits for its publish ack.
    ///
    /// # Errors
    /// If the event is not known to be on disk.
    pub async fn put(&self, source: &Name, handled: Handled) -> Result<Enqueued, NotEnqueued> {
        let (enqueued, durable) = self.queue_up(source, handled)?;
        match durable.await {
            Ok(true) => Ok(enqueued),
            Ok(false) | Err(_) => Err(NotEnqueued::NoAck),
        }
    }

    /// Puts an event into a queue. Only its encoded form and the answer for its sender are kept from here on.
    fn queue_up(&self, source: &Name, handled: Handled) -> Result<Waiting, NotEnqueued> {
        let Handled { events, shard, answer, mut memory } = handled;
        // A `Handled` is never empty, and its ids and lanes are valid.
        let first = events.first().ok_or(NotEnqueued::Queue)?;
        let id = EventId::try_from(&*first.id).map_err(|_| NotEnqueued::Queue)?;
        let lane = Lane::try_from(first.lane).map_err(|_| NotEnqueued::Queue)?;
        let writer = self.writer(lane, shard).ok_or(NotEnqueued::Queue)?;

        let events: Vec<_> = events.iter().map(|event| EncodedEvent::new(source.clone(), event)).collect();
        let size = events.iter().map(EncodedEvent::framed_len).sum();
        if size > MAX_BLOCK_BYTES {
            return Err(NotEnqueued::TooLarge);
        }
        // The event is in memory twice: while it waits and in the block.
        memory.grow_by(2 * size).map_err(|_| NotEnqueued::Memory)?;
        // The chain has counted the answer. It is held until it is written, which may be long after the
        // block.
        let answer = answer.map(|answer| {
            let held = memory.split(answer.body.len());
            (answer, held)
        });
        let (durable, done) = oneshot::channel();
        writer.write(Entry { events, size, memory, durable }).map_err(|Full| NotEnqueued::Queue)?;
        Ok((Enqueued { id, answer }, done))
    }

    fn writer(&self, lane: Lane, shard: ShardId) -> Option<&Writer> {
        let lane = Lane::ALL.iter().position(|&each| each == lane)?;
        let shard = usize::try_from(shard.get()).ok()?;
        let shards = usize::try_from(self.shards.get()).ok()?;
        if shard < shards { self.writers.get(lane * shards + shard) } else { None }
    }

    /// Takes no more events and waits until every block has its ack or has failed.
    pub async fn flush(&self) {
        join_all(self.writers.iter().map(Writer::flush)).await;
    }
}
