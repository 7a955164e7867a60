//! Appending to a stream that has one writer.
//!
//! A writer begins with a fence, on a subject of its own. The sequence of the fence is a fencing token: every
//! append names it (`Nats-Expected-Last-Subject-Sequence`). Once another writer has appended its fence, the
//! stream refuses all later appends of this writer. An append also names the sequence that it must follow
//! (`Nats-Expected-Last-Sequence`), so that no append takes the place of another. If an ack is lost, the
//! appender reads the message at the expected sequence: either the bytes that it sent, or those of another
//! writer. Nothing is ever appended twice.
//!
//! Appends that arrive while another is under way wait. They are sent as one atomic batch, whose first
//! message names the fence
//! ([ADR-50](https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-50.md)). The server
//! syncs a batch as a whole, and a replicated stream checks a fence for one message at a time.
//!
//! An append carries what its caller needs once it is on disk, and [`FencedAppender::settle`] gives that
//! back. So there is one queue of what is under way, and no caller keeps another in step with it.

mod target;

pub use self::target::{BATCH_APPENDS, BATCH_BYTES};

use std::collections::VecDeque;

use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use bytes::Bytes;

use self::target::{AckFuture, Target};
use crate::lease::Lease;

/// The only writer of a stream, while its lease lasts. Each append carries a `T` for its caller.
pub struct FencedAppender<T = ()> {
    target: Target,
    /// The sequence of the last append that is known to be written, or the stream's end before the first.
    confirmed: u64,
    /// Appends after `confirmed`, in order.
    pending: VecDeque<Pending<T>>,
    /// The log says already that an append is in doubt. The next confirmed append resets this.
    doubt_is_logged: bool,
}

struct Pending<T> {
    append: Append,
    carried: T,
    ack: Ack,
}

/// What is known of an append.
enum Ack {
    /// The append was not sent, because others are under way.
    Waiting,
    /// The append was sent, and its ack is expected.
    Awaited(AckFuture),
    /// The append or its ack failed. Reading the stream settles it.
    Doubtful,
}

impl Ack {
    fn of(sent: Option<AckFuture>) -> Self {
        sent.map_or(Self::Doubtful, Self::Awaited)
    }

    fn is_doubtful(&self) -> bool {
        matches!(self, Self::Doubtful)
    }
}

/// A message for [`FencedAppender::submit`].
#[derive(Clone, Debug)]
pub struct Append {
    /// The subject to publish to, which the stream takes in.
    pub subject: String,
    /// Its own headers. The appender adds the expected sequences.
    pub headers: HeaderMap,
    /// The bytes of the message. No two are the same, because every block carries a ULID.
    pub payload: Bytes,
}

/// An append that is on disk.
#[derive(Debug, PartialEq, Eq)]
pub struct Settled<T> {
    /// The sequence of the message in the stream.
    pub sequence: u64,
    /// The bytes of the message.
    pub payload: Bytes,
    /// What was submitted with the append.
    pub carried: T,
}

impl<T> FencedAppender<T> {
    /// Appends a fence at the stream's end, and waits for as long as the server is unreachable. From then on
    /// the stream refuses every append of an earlier writer. [`Self::last_sequence`] is that of the fence.
    ///
    /// # Errors
    /// [`AppendError::Superseded`] if the lease is lost meanwhile.
    pub async fn open(
        context: Context,
        stream: String,
        lease: Lease,
        fence: Append,
    ) -> Result<Self, AppendError> {
        let fence_subject = fence.subject.clone();
        let target = Target { context, stream, lease, fence_subject, fence: None };
        let confirmed = loop {
            match target.context.get_stream(&target.stream).await {
                Ok(found) => break found.cached_info().state.last_sequence,
                Err(error) => tracing::warn!(target.stream, %error, "cannot learn the stream's end"),
            }
            target.pause().await?;
        };
        // The fence is appended like any other message, by an appender that carries nothing.
        let mut opening = FencedAppender::<()>::new(target, confirmed);
        opening.submit(fence, ()).await?;
        let fence = opening.settle().await?.sequence;
        let target = Target { fence: Some(fence), ..opening.target };
        Ok(Self::new(target, fence))
    }

    fn new(target: Target, confirmed: u64) -> Self {
        Self { target, confirmed, pending: VecDeque::new(), doubt_is_logged: false }
    }

    /// The last sequence that is known to be on disk.
    pub fn last_sequence(&self) -> u64 {
        self.confirmed
    }

    /// The sequence that the next submitted append will get.
    pub fn next_sequence(&self) -> u64 {
        self.confirmed + self.pending.len() as u64 + 1
    }

    /// How many submitted appends are not settled yet.
    pub fn in_flight(&self) -> usize {
        self.pending.len()
    }

    /// The bytes of the messages that were submitted and not settled yet.
    pub fn bytes_in_flight(&self) -> usize {
        self.pending.iter().map(|pending| pending.append.payload.len()).sum()
    }

    /// Returns true if the ack of an append did not arrive. Then all appends under way must be settled before
    /// another is sent.
    pub fn in_doubt(&self) -> bool {
        self.pending.iter().any(|pending| pending.ack.is_doubtful())
    }

    /// Sends an append, or queues it behind those under way. [`Self::settle`] waits for the ack, and gives
    /// `carried` back.
    ///
    /// # Errors
    /// [`AppendError::Superseded`] if the lease is lost, [`AppendError::TooLarge`] if no server takes the
    /// message. A queued append fails in [`Self::settle`] instead.
    pub async fn submit(&mut self, append: Append, carried: T) -> Result<(), AppendError> {
        let ack = if self.pending.is_empty() {
            Ack::of(self.target.send(&append, self.confirmed).await?)
        } else {
            Ack::Waiting
        };
        self.pending.push_back(Pending { append, carried, ack });
        Ok(())
    }

    /// Waits until the oldest submitted append is on disk, and returns it. Never returns if there
    /// is none. Cancel-safe: the next call settles an append whose wait was dropped.
    ///
    /// # Errors
    /// [`AppendError::Superseded`] if another writer has appended or the lease is lost,
    /// [`AppendError::TooLarge`] if no server takes a queued append.
    pub async fn settle(&mut self) -> Result<Settled<T>, AppendError> {
        loop {
            let Some(oldest) = self.pending.front_mut() else { return std::future::pending().await };
            let ack = match &mut oldest.ack {
                Ack::Awaited(ack) => ack,
                Ack::Waiting => {
                    self.send_waiting().await?;
                    continue;
                }
                Ack::Doubtful => {
                    self.resolve().await?;
                    continue;
                }
            };
            match ack.await {
                Ok(sequence) if sequence == self.confirmed + 1 => {
                    let Some(Pending { append, carried, .. }) = self.pending.pop_front() else { continue };
                    self.confirmed = sequence;
                    self.doubt_is_logged = false;
                    return Ok(Settled { sequence, payload: append.payload, carried });
                }
                Ok(sequence) => {
                    tracing::error!(stream = self.target.stream, sequence, "acked out of order");
                    return Err(AppendError::Superseded);
                }
                Err(error) => {
                    if !self.doubt_is_logged {
                        tracing::warn!(stream = self.target.stream, error, "an append is in doubt");
                        self.doubt_is_logged = true;
                    }
                    self.pending.iter_mut().for_each(|pending| pending.ack = Ack::Doubtful);
                }
            }
        }
    }

    /// Settles appends whose acks did not arrive. Those that the stream holds are done; the rest is sent
    /// again in order.
    async fn resolve(&mut self) -> Result<(), AppendError> {
        let first = self.confirmed + 1;
        for (pending, sequence) in self.pending.iter_mut().zip(first..) {
            match self.target.read(sequence).await? {
                Some(found) if found == pending.append.payload => {
                    pending.ack = Ack::Awaited(Box::pin(std::future::ready(Ok(sequence))));
                }
                Some(_) => return Err(AppendError::Superseded),
                None => break,
            }
        }
        if !self.in_doubt() {
            return Ok(());
        }
        self.target.pause().await?;
        for pending in self.pending.iter_mut().filter(|pending| pending.ack.is_doubtful()) {
            pending.ack = Ack::Waiting;
        }
        Ok(())
    }

    /// Sends the queued appends, now that nothing is under way: all of them, or as many as one batch takes.
    async fn send_waiting(&mut self) -> Result<(), AppendError> {
        let appends: Vec<&Append> = self.pending.iter().map(|pending| &pending.append).collect();
        let acks = self.target.send_some(&appends, self.confirmed).await?;
        if acks.is_empty() {
            self.pending.iter_mut().for_each(|pending| pending.ack = Ack::Doubtful);
        }
        for (pending, ack) in self.pending.iter_mut().zip(acks) {
            pending.ack = Ack::Awaited(ack);
        }
        Ok(())
    }
}

impl FencedAppender {
    /// Appends a message, waits until it is on disk, and returns its sequence.
    ///
    /// # Errors
    /// As [`Self::submit`] and [`Self::settle`].
    pub async fn append(&mut self, subject: String, payload: Bytes) -> Result<u64, AppendError> {
        self.submit(Append { subject, headers: HeaderMap::new(), payload }, ()).await?;
        while self.in_flight() > 1 {
            self.settle().await?;
        }
        Ok(self.settle().await?.sequence)
    }
}

/// Why an append did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Another writer appended, or the lease is lost. The caller must stop writing and read the stream again.
    #[error("another writer took over")]
    Superseded,
    /// No server takes a message of so many bytes.
    #[error("a message of {0} bytes is over the servers' max_payload")]
    TooLarge(usize),
}
