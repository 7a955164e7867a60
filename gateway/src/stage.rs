//! The stages of an event in the gateway. Each consumes the one before it, and only the named module builds
//! it: `Received` (accept) → [`Verified`] (verify) → [`Handled`] (chain) → `Enqueued` (`crates/enqueue/`). A
//! 2xx for an event can only be made from an `Enqueued`.

use std::sync::Arc;

use bytes::Bytes;
use floodgate_event::proto::Event;
use floodgate_event::source::Intake;
use floodgate_event::{Lane, ShardId};
use floodgate_listen::Reservation;

pub use floodgate_enqueue::Handled;

/// A request whose signature is valid, or was valid when it arrived: a replay begins here. Only `verify`
/// builds one.
#[derive(Debug)]
pub struct Verified {
    /// The envelope so far: everything but `handlers`, `payload`, `disposition` and `request.raw`.
    pub(crate) event: Event,
    /// The bytes that were signed. None in a replay of an event that was stored without them.
    pub(crate) raw: Option<Bytes>,
    /// The body after content decoding, which handlers see. Shares `raw`'s buffer if the body was not
    /// encoded.
    pub(crate) body: Bytes,
    /// The settings of the source: lanes, raw policy, answer.
    pub(crate) intake: Arc<Intake>,
    /// The shard, from the dedup key or the ordering value.
    pub(crate) shard: ShardId,
    /// Fields of the request that have no value, and why, to be counted. Empty in a replay, because the first
    /// run has counted them.
    pub(crate) unread: Vec<(&'static str, &'static str)>,
    /// The memory that is reserved for the event.
    pub(crate) memory: Reservation,
}

impl Verified {
    /// An event that nobody sent, for measuring what handlers cost. Nothing in this crate calls it.
    #[doc(hidden)]
    pub fn unsent(event: Event, body: Bytes, intake: Arc<Intake>) -> Self {
        let (unread, memory) = (Vec::new(), Reservation::uncounted());
        Self { event, raw: Some(body.clone()), body, intake, shard: ShardId::FIRST, unread, memory }
    }
}

impl Verified {
    /// The lane of the type that the event arrived with.
    pub(crate) fn lane(&self) -> Lane {
        // Only known lanes are written into an event.
        Lane::try_from(self.event.lane).unwrap_or_default()
    }
}
