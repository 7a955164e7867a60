//! Appending to a stream that has one writer.
//!
//! A writer begins with a fence, on a subject that only fences have. Every append after it names that
//! fence by its sequence (`Nats-Expected-Last-Subject-Sequence`), a fencing token:
//! once another writer has put up its own, the stream refuses whatever still comes from this one.
//! It also says which sequence it expects to follow (`Nats-Expected-Last-Sequence`), so that no append takes
//! another's place. An append whose ack is lost is settled by reading what stands at its sequence:
//! the very bytes that were sent, or somebody else's. Nothing is ever appended twice.
//!
//! The appends that come while one is under way wait, and go as one atomic batch whose first message names
//! the fence ([ADR-50](https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-50.md)):
//! a batch is synced as a whole, and a stream with replicas looks at a fence for one message at a time.

mod target;

pub use self::target::{BATCH_APPENDS, BATCH_BYTES};

use std::collections::VecDeque;

use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use bytes::Bytes;

use self::target::{AckFuture, Target};
use crate::lease::Lease;

/// The one writer of a stream, while its lease lasts.
pub struct FencedAppender {
    target: Target,
    /// The last sequence known to hold an append of ours, or what was there before the first.
    confirmed: u64,
    /// Appends after `confirmed`, in order.
    pending: VecDeque<Pending>,
    /// Whether it was told that an append is in doubt, since the last that is on disk.
    doubt_is_told: bool,
}

struct Pending {
    append: Append,
    ack: Ack,
}

/// What is known of an append.
enum Ack {
    /// It was not sent: others are under way.
    Waiting,
    /// It was sent.
    Awaited(AckFuture),
    /// It failed, or its ack did; it is settled by reading the stream.
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

/// A message to append.
#[derive(Clone, Debug)]
pub struct Append {
    /// Where it is published.
    pub subject: String,
    /// Headers beside the expected sequence.
    pub headers: HeaderMap,
    /// The message; unlike any other, as every block carries a ULID.
    pub payload: Bytes,
}

impl FencedAppender {
    /// Puts up a fence at the stream's end, waiting out an unreachable server. Whatever an earlier writer
    /// still has under way is refused from here on; [`Self::last_sequence`] is the fence's.
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
        let mut appender = Self { target, confirmed, pending: VecDeque::new(), doubt_is_told: false };
        appender.submit(fence).await?;
        appender.target.fence = Some(appender.settle().await?);
        Ok(appender)
    }

    /// The last sequence that is known to be written.
    pub fn last_sequence(&self) -> u64 {
        self.confirmed
    }

    /// The sequence that the next submitted append will have.
    pub fn next_sequence(&self) -> u64 {
        self.confirmed + self.pending.len() as u64 + 1
    }

    /// Appends that were submitted and not settled yet.
    pub fn in_flight(&self) -> usize {
        self.pending.len()
    }

    /// Whether an append's ack did not come, so that what is under way must be settled
    /// before anything else is sent.
    pub fn in_doubt(&self) -> bool {
        self.pending.iter().any(|pending| pending.ack.is_doubtful())
    }

    /// Sends an append, or has it wait for those under way, without waiting for its ack,
    /// which [`Self::settle`] does.
    ///
    /// # Errors
    /// If it is sent: [`AppendError::Superseded`] if the lease is lost,
    /// [`AppendError::TooLarge`] if no server takes it.
    pub async fn submit(&mut self, append: Append) -> Result<(), AppendError> {
        let ack = if self.pending.is_empty() {
            Ack::of(self.target.send(&append, self.confirmed).await?)
        } else {
            Ack::Waiting
        };
        self.pending.push_back(Pending { append, ack });
        Ok(())
    }

    /// Waits until the oldest submitted append is on disk, and returns its sequence. Pending for ever if
    /// there is none. Cancel-safe: an append whose wait is dropped is settled by the next call.
    ///
    /// # Errors
    /// [`AppendError::Superseded`] once another writer was there or the lease is lost,
    /// [`AppendError::TooLarge`] if no server takes one that was to be sent now.
    pub async fn settle(&mut self) -> Result<u64, AppendError> {
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
                    self.pending.pop_front();
                    self.confirmed += 1;
                    self.doubt_is_told = false;
                    return Ok(self.confirmed);
                }
                Ok(sequence) => {
                    tracing::error!(stream = self.target.stream, sequence, "acked out of order");
                    return Err(AppendError::Superseded);
                }
                Err(error) => {
                    if !self.doubt_is_told {
                        tracing::warn!(stream = self.target.stream, error, "an append is in doubt");
                        self.doubt_is_told = true;
                    }
                    self.pending.iter_mut().for_each(|pending| pending.ack = Ack::Doubtful);
                }
            }
        }
    }

    /// Appends and waits until it is on disk; returns its sequence.
    ///
    /// # Errors
    /// As [`Self::submit`] and [`Self::settle`].
    pub async fn append(&mut self, subject: String, payload: Bytes) -> Result<u64, AppendError> {
        self.submit(Append { subject, headers: HeaderMap::new(), payload }).await?;
        while self.in_flight() > 1 {
            self.settle().await?;
        }
        self.settle().await
    }

    /// Settles appends whose acks did not come: what stands in the stream is done, the
    /// rest is sent again in order.
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

    /// Sends what waits, now that nothing is under way: all of it, or as much as goes at once.
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

/// Why an append did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Another writer appended, or the lease is lost: stand down and read the stream anew.
    #[error("another writer took over")]
    Superseded,
    /// No server takes a message of this size.
    #[error("a message of {0} bytes is over the servers' max_payload")]
    TooLarge(usize),
}
