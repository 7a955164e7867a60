//! The stages of an event in the gateway. Each consumes the one before it, and only the room named builds it:
//! `Received` (accept) → [`Verified`] (verify) → [`Handled`] (chain) → `Enqueued` (enqueue). A 2xx for an
//! event can only be made from an `Enqueued`.

use std::sync::Arc;

use bytes::Bytes;
use floodgate_event::proto::Event;
use floodgate_event::source::Intake;
use floodgate_listen::Reservation;
use floodgate_sandbox::HandlerAnswer;

/// A request whose signature holds, or held when it came: a replay begins here. Built by `verify` alone.
#[derive(Debug)]
pub struct Verified {
    /// The envelope so far: everything but `handlers`, `payload`, `disposition` and `request.raw`.
    pub(crate) event: Event,
    /// The bytes that were signed. None in a replay for which they were not kept.
    pub(crate) raw: Option<Bytes>,
    /// The same after content decoding; what handlers see. Shares `raw`'s buffer if there was no encoding.
    pub(crate) body: Bytes,
    /// The source's rules: lanes, raw policy, answer.
    pub(crate) intake: Arc<Intake>,
    /// The shard, from the dedup key or the ordering value.
    pub(crate) shard: u32,
    /// Fields that the request gave no value for, and why; to be counted. None in a replay, which was counted
    /// once.
    pub(crate) unread: Vec<(&'static str, &'static str)>,
    /// What is counted for it.
    pub(crate) memory: Reservation,
}

impl Verified {
    /// An event that nobody sent, for measuring what handlers cost. Nothing in this crate calls it.
    #[doc(hidden)]
    pub fn unsent(event: Event, body: Bytes, intake: Arc<Intake>) -> Self {
        let (unread, memory) = (Vec::new(), Reservation::uncounted());
        Self { event, raw: Some(body.clone()), body, intake, shard: 0, unread, memory }
    }
}

/// An event that the source's handlers are done with. Built by `chain` alone.
#[derive(Debug)]
pub struct Handled {
    /// The finished envelope, the event itself first and then, after a split, its children. Never empty.
    pub(crate) events: Vec<Event>,
    /// The shard they all go to.
    pub(crate) shard: u32,
    /// What a handler answers the sender, once the tombstone is durable.
    pub(crate) answer: Option<HandlerAnswer>,
    /// What is counted for all of it.
    pub(crate) memory: Reservation,
}
