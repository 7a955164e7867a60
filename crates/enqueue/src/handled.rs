//! What is enqueued.

use floodgate_event::proto::Event;
use floodgate_event::{Lane, ShardId};
use floodgate_listen::Reservation;
use floodgate_sandbox::HandlerAnswer;

/// An event after its source's handlers. Only the gateway's chain builds one.
#[derive(Debug)]
pub struct Handled {
    /// The finished envelopes: the event itself and then, after a split, its children. Never empty.
    pub events: Vec<Event>,
    /// The shard of all of them.
    pub shard: ShardId,
    /// The answer of a handler to the sender, which is sent once the tombstone is durable.
    pub answer: Option<HandlerAnswer>,
    /// The memory that is reserved for all of them.
    pub memory: Reservation,
}

impl Handled {
    /// The lane of all of them. Only known lanes are written into an event.
    pub fn lane(&self) -> Lane {
        self.events.first().map_or(Lane::default(), |event| Lane::try_from(event.lane).unwrap_or_default())
    }
}
