//! Publishes a block, and publishes it again under the same id for as long as there is time and it may help.
//!
//! The stream stores the first copy that arrives. It recognizes the others by the id, and acknowledges them
//! as well. No try begins after the block's time, and the client gets a message only while it is connected.
//! The client may still send a message after it reconnects, even if the senders have their answers by then.
//! This does no harm: the id marks it as a copy. If a block is stored although its senders got a 503, the
//! events' own ids mark the next tries as duplicates.

use std::time::Duration;

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::{HeaderMap, Message};
use floodgate_event::block::SealedBlock;
use floodgate_event::{Backoff, subject};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::acks::Expected;
use super::publisher::{Outgoing, PublishError, Publisher};

/// A try waits for its ack for this part of the whole time before the next one. The server may have received
/// it and be slow, and more tries would make it slower.
const SHARES: u32 = 4;
/// The pauses before another try.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(500));

/// Returns once the block is on disk. It fails after the publisher's timeout, or earlier if its first event
/// has waited for twice as long.
///
/// # Errors
/// The error of the last try.
pub(super) async fn publish(
    publisher: &Publisher,
    block: SealedBlock,
    waiting_since: Instant,
) -> Result<(), PublishError> {
    let timeout = publisher.timeout();
    let deadline = (Instant::now() + timeout).min(waiting_since + 2 * timeout);
    Attempts::new(publisher, block, deadline).run().await
}

/// A block and the attempts to get it onto the disk.
struct Attempts<'p> {
    publisher: &'p Publisher,
    outgoing: Outgoing,
    deadline: Instant,
    backoff: Backoff,
}

impl<'p> Attempts<'p> {
    fn new(publisher: &'p Publisher, block: SealedBlock, deadline: Instant) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, block.id.to_string());
        headers.insert(subject::EVENTS_HEADER, block.sources.to_string());
        let outgoing = Outgoing { headers, payload: block.payload };
        Self { publisher, outgoing, deadline, backoff: BACKOFF }
    }

    /// Returns once the block is on disk, or the error of the last try.
    async fn run(mut self) -> Result<(), PublishError> {
        if Instant::now() >= self.deadline {
            return Err(PublishError::TimedOut);
        }
        let mut acks = FuturesUnordered::new();
        loop {
            let mut losses = self.publisher.losses();
            losses.mark_unchanged();
            let answered = match self.send().await {
                Ok(expected) => {
                    acks.push(expected.message());
                    self.answer(&mut acks, &mut losses).await
                }
                Err(fault) => Err(fault),
            };
            let Err(fault) = answered else { return Ok(()) };
            let again = self.again(fault)?;
            if self.is_acked_late(&mut acks, again).await {
                return Ok(());
            }
        }
    }

    async fn send(&self) -> Result<Expected, PublishError> {
        timeout_at(self.deadline, self.publisher.send(&self.outgoing))
            .await
            .unwrap_or(Err(PublishError::Disconnected))
    }

    /// Waits for an answer to any of the tries, for as long as this one may take.
    async fn answer<F>(
        &self,
        acks: &mut FuturesUnordered<F>,
        losses: &mut watch::Receiver<u64>,
    ) -> Result<(), PublishError>
    where
        F: Future<Output = Option<Message>>,
    {
        let until = self.deadline.min(Instant::now() + self.publisher.timeout() / SHARES);
        tokio::select! {
            message = acks.next() => self.publisher.check(message.flatten()),
            _ = losses.changed() => Err(PublishError::Disconnected),
            () = sleep_until(until) => Err(PublishError::TimedOut),
        }
    }

    /// When to try again, or the fault itself if another try is useless or too late.
    fn again(&mut self, fault: PublishError) -> Result<Instant, PublishError> {
        let again = Instant::now() + self.backoff.pause();
        if again >= self.deadline || !self.publisher.is_retryable(&fault) {
            return Err(fault);
        }
        self.publisher.count_retry(&fault);
        Ok(again)
    }

    /// Returns true if the ack of an earlier try arrives before the next try.
    async fn is_acked_late<F>(&self, acks: &mut FuturesUnordered<F>, until: Instant) -> bool
    where
        F: Future<Output = Option<Message>>,
    {
        let good = async {
            while let Some(message) = acks.next().await {
                if self.publisher.check(message).is_ok() {
                    return true;
                }
            }
            std::future::pending().await
        };
        timeout_at(until, good).await.unwrap_or(false)
    }
}
