//! What a connection's own buffers hold, counted: heads that are not here whole, bodies that nobody has
//! taken, answers that the peer does not take.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::activity::Activity;
use crate::bounds::Bounds;
use crate::connection::{Ended, Protocol};
use crate::memory::{Exhausted, Reservation};

/// What an open connection takes: its task, its TLS session, its buffers at their least.
pub(crate) const CONNECTION_BYTES: usize = 16 * 1024;
/// What more it takes while its peer does not read: the buffers of HTTP and TLS.
const BLOCKED_BYTES: usize = 48 * 1024;
/// What a byte of HTTP/2 may become: a whole header field by reference (HPACK, RFC 7541 section 6.1), which
/// takes its place in a map that grows by doubling.
const FIELD_BYTES: usize = 160;
/// What a header list takes at most, in its own lengths: each field counts as 32 bytes and its own at least
/// (RFC 9113 section 6.5.2).
const LIST_FACTOR: usize = FIELD_BYTES / 32;
/// How much of HTTP/2 is read before it is dealt with: as one read may bring so many heads, all of them are
/// in memory until each has been counted.
const TURN_BYTES: usize = 16 * 1024;

/// The memory of one connection's buffers.
pub(crate) struct Buffers {
    activity: Arc<Activity>,
    memory: Reservation,
    /// What a head that is not here whole may take besides its bytes.
    head: usize,
    turn: usize,
}

/// What a turn of the connection came to.
pub(crate) enum Turn {
    Ended(Result<(), Ended>),
    /// There is no memory for more; requests under way go on.
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

    /// Lets the connection do what it can, and counts what it holds then.
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
            // Nobody is waiting for anything but the one who sends and does not finish.
            Err(Exhausted) if self.activity.is_idle() => Poll::Ready(Turn::Ended(Err(Ended::Memory))),
            Err(Exhausted) if was_paused => Poll::Pending,
            Err(Exhausted) => {
                self.activity.pause(true);
                Poll::Ready(Turn::Paused)
            }
        }
    }

    /// Whether nothing is read for lack of memory.
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
