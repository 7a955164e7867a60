//! Appending to a stream that has one writer.
//!
//! A writer begins with a fence, on a subject that only fences have. Every append after it names that fence by its
//! sequence (`Nats-Expected-Last-Subject-Sequence`), a fencing token: once another writer has put up its own, the stream
//! refuses whatever still comes from this one. It also says which sequence it expects to follow
//! (`Nats-Expected-Last-Sequence`), also while earlier ones are under way, so that no append takes another's place. That
//! alone would not do: of two under way the second expects the very sequence that the other's fence was given. An append
//! whose ack is lost is settled by reading what stands at its sequence: the very bytes that were sent, or somebody
//! else's. Nothing is ever appended twice.

use std::collections::VecDeque;
use std::future::IntoFuture as _;
use std::pin::Pin;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::stream::RawMessageErrorKind;
use bytes::Bytes;

use crate::lease::Lease;

/// Says which subject `Nats-Expected-Last-Subject-Sequence` is about, where it is not the message's own.
const EXPECTED_LAST_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";
/// How long to wait before asking a server again that did not answer.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// The one writer of a stream, while its lease lasts.
pub struct FencedAppender {
    target: Target,
    /// The last sequence known to hold an append of ours, or what was there before the first.
    confirmed: u64,
    /// Appends after `confirmed`, in order.
    pending: VecDeque<Pending>,
}

/// The stream, apart from what is under way.
struct Target {
    context: Context,
    stream: String,
    lease: Lease,
    fence_subject: String,
    /// The sequence of this writer's fence, once it is up.
    fence: Option<u64>,
}

struct Pending {
    append: Append,
    /// Gone once it failed; then the append is settled by reading the stream.
    ack: Option<AckFuture>,
}

type AckFuture = Pin<Box<dyn Future<Output = Result<PublishAck, PublishError>> + Send>>;

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
    /// Puts up a fence at the stream's end, waiting out an unreachable server. Whatever an earlier writer still has
    /// under way is refused from here on; [`Self::last_sequence`] is the fence's.
    ///
    /// # Errors
    /// [`AppendError::Superseded`] if the lease is lost meanwhile.
    pub async fn open(
        context: Context,
        stream: String,
        lease: Lease,
        fence: Append,
    ) -> Result<Self, AppendError> {
        let confirmed = loop {
            match context.get_stream(&stream).await {
                Ok(found) => break found.cached_info().state.last_sequence,
                Err(error) => tracing::warn!(stream, %error, "cannot learn the stream's end"),
            }
            pause(&lease).await?;
        };
        let target = Target { context, stream, lease, fence_subject: fence.subject.clone(), fence: None };
        let mut appender = Self { target, confirmed, pending: VecDeque::new() };
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

    /// Whether an append's ack did not come, so that what is under way must be settled before anything else is sent.
    pub fn in_doubt(&self) -> bool {
        self.pending.iter().any(|pending| pending.ack.is_none())
    }

    /// Sends an append without waiting for its ack, which [`Self::settle`] does.
    ///
    /// # Errors
    /// [`AppendError::Superseded`] if the lease is lost, [`AppendError::TooLarge`] if no server takes it.
    pub async fn submit(&mut self, append: Append) -> Result<(), AppendError> {
        let expected = self.next_sequence() - 1;
        // Behind an append in doubt nothing else is sent: it would be refused.
        let ack = if self.in_doubt() { None } else { self.target.send(&append, expected).await? };
        self.pending.push_back(Pending { append, ack });
        Ok(())
    }

    /// Waits until the oldest submitted append is on disk, and returns its sequence. Pending for ever if there is
    /// none. Cancel-safe: an append whose wait is dropped is settled by the next call.
    ///
    /// # Errors
    /// [`AppendError::Superseded`] once another writer was there or the lease is lost.
    pub async fn settle(&mut self) -> Result<u64, AppendError> {
        loop {
            let Some(oldest) = self.pending.front_mut() else { return std::future::pending().await };
            let Some(ack) = &mut oldest.ack else {
                self.resolve().await?;
                continue;
            };
            match ack.await {
                Ok(ack) if ack.sequence == self.confirmed + 1 => {
                    self.pending.pop_front();
                    self.confirmed += 1;
                    return Ok(self.confirmed);
                }
                Ok(ack) => {
                    tracing::error!(
                        stream = self.target.stream,
                        sequence = ack.sequence,
                        "acked out of order"
                    );
                    return Err(AppendError::Superseded);
                }
                Err(error) => {
                    tracing::debug!(stream = self.target.stream, %error, "append in doubt");
                    self.pending.iter_mut().for_each(|pending| pending.ack = None);
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

    /// Settles appends whose acks did not come: what stands in the stream is done, the rest is sent again in order.
    async fn resolve(&mut self) -> Result<(), AppendError> {
        let first = self.confirmed + 1;
        for (pending, sequence) in self.pending.iter_mut().zip(first..) {
            match self.target.read(sequence).await? {
                Some(found) if found == pending.append.payload => {
                    let ack = PublishAck { sequence, ..PublishAck::default() };
                    pending.ack = Some(Box::pin(std::future::ready(Ok(ack))));
                }
                Some(_) => return Err(AppendError::Superseded),
                None => break,
            }
        }
        if self.pending.iter().all(|pending| pending.ack.is_some()) {
            return Ok(());
        }
        pause(&self.target.lease).await?;
        for (pending, sequence) in self.pending.iter_mut().zip(first..) {
            if pending.ack.is_none() {
                pending.ack = self.target.send(&pending.append, sequence - 1).await?;
            }
        }
        Ok(())
    }
}

impl Target {
    /// What stands at a sequence, waiting out an unreachable server.
    async fn read(&self, sequence: u64) -> Result<Option<Bytes>, AppendError> {
        loop {
            match self.context.get_stream_no_info(&self.stream).await {
                Ok(stream) => match stream.get_raw_message(sequence).await {
                    Ok(message) => return Ok(Some(message.payload)),
                    Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Ok(None),
                    Err(error) => tracing::warn!(stream = self.stream, sequence, %error, "cannot read back"),
                },
                Err(error) => tracing::warn!(stream = self.stream, %error, "cannot read back"),
            }
            pause(&self.lease).await?;
        }
    }

    /// Publishes; `None` if the outcome is in doubt already.
    async fn send(&self, append: &Append, expected: u64) -> Result<Option<AckFuture>, AppendError> {
        if !self.lease.is_held() {
            return Err(AppendError::Superseded);
        }
        let mut publish = PublishMessage::build()
            .headers(append.headers.clone())
            .payload(append.payload.clone())
            .expected_last_sequence(expected);
        if let Some(fence) = self.fence {
            publish = publish
                .expected_last_subject_sequence(fence)
                .header(EXPECTED_LAST_SUBJECT, self.fence_subject.as_str());
        }
        match self.context.send_publish(append.subject.clone(), publish).await {
            Ok(ack) => Ok(Some(ack.into_future())),
            Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                Err(AppendError::TooLarge(append.payload.len()))
            }
            Err(_) => Ok(None),
        }
    }
}

async fn pause(lease: &Lease) -> Result<(), AppendError> {
    tokio::select! {
        () = lease.lost() => Err(AppendError::Superseded),
        () = tokio::time::sleep(RETRY_PAUSE) => Ok(()),
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
