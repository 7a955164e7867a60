//! Counts the memory of a connection's buffers: incomplete heads, body bytes that nobody has taken, and
//! answers that the peer does not read.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::activity::Activity;
use crate::bounds::Bounds;
use crate::ended::Ended;
use crate::memory::{Exhausted, Reservation};
use crate::protocol::Protocol;

/// The bytes of an open connection: its task, its TLS session and its buffers at their smallest.
pub(crate) const CONNECTION_BYTES: usize = 16 * 1024;
/// The additional bytes while the peer does not read: the buffers of HTTP and TLS.
const BLOCKED_BYTES: usize = 48 * 1024;
/// The most bytes that one byte of HTTP/2 may become: a whole header field by reference (HPACK, RFC 7541
/// section 6.1) in a map that grows by doubling.
const FIELD_BYTES: usize = 160;
/// The memory of a header list, as a multiple of its size. Each field counts as at least 32 bytes (RFC 9113
/// section 6.5.2).
const LIST_FACTOR: usize = FIELD_BYTES / 32;
/// How many bytes of HTTP/2 are read before they are processed. One read may contain many heads, and all of
/// them are in memory until each has been counted.
const TURN_BYTES: usize = 16 * 1024;

/// The memory of one connection's buffers.
pub(crate) struct Buffers {
    activity: Arc<Activity>,
    memory: Reservation,
    /// The most bytes of an incomplete head beside those that were read.
    head: usize,
    turn: usize,
}

/// The result of polling the connection once.
pub(crate) enum Turn {
    Ended(Result<(), Ended>),
    /// There is no memory for more input. Requests under way continue.
    Paused,
}

impl Buffers {
    pub(crate) fn new(
        activity: Arc<Activity>,
        memory: Reservation,
        protocol: Protocol,
        bounds: &Bounds,
    ) -> Self {
        let (head, turn) = match protocol {
            Protocol::Http1 => (0, usize::MAX),
            Protocol::Http2 => (bounds.list_bytes as usize * LIST_FACTOR, TURN_BYTES),
        };
        Self { activity, memory, head, turn }
    }

    /// Polls the connection, and then counts the memory that it holds.
    pub(crate) fn turn<C>(&mut self, connection: Pin<&mut C>, context: &mut Context<'_>) -> Poll<Turn>
    where
        C: Future<Output = hyper::Result<()>>,
    {
        let was_paused = self.activity.is_paused();
        if was_paused && self.settle().is_ok() {
            self.activity.pause(false);
        }
        self.activity.begin_turn(self.turn);
        if let Poll::Ready(result) = connection.poll(context) {
            return Poll::Ready(Turn::Ended(result.map_err(Ended::Protocol)));
        }
        match self.settle() {
            Ok(()) => Poll::Pending,
            // Only a sender that does not complete its request is waiting.
            Err(Exhausted) if self.activity.is_idle() => Poll::Ready(Turn::Ended(Err(Ended::Memory))),
            Err(Exhausted) if was_paused => Poll::Pending,
            Err(Exhausted) => {
                self.activity.pause(true);
                Poll::Ready(Turn::Paused)
            }
        }
    }

    /// Returns true while reading is paused for lack of memory.
    pub(crate) fn are_full(&self) -> bool {
        self.activity.is_paused()
    }

    fn settle(&mut self) -> Result<(), Exhausted> {
        let untaken = self.activity.untaken();
        let blocked = if self.activity.is_blocked() { BLOCKED_BYTES } else { 0 };
        let held = CONNECTION_BYTES + blocked + untaken + self.head.min(untaken.saturating_mul(FIELD_BYTES));
        self.memory.shrink_to(held);
        self.memory.grow_to(held)
    }
}
