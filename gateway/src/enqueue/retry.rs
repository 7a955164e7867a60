//! A block on its way: published, and published again under the same id for as long as
//! there is time and it may help.
//!
//! Whichever copy comes first is stored; the stream tells by the id that the others are copies, and says so
//! in acks that are as good. What the block's time does not suffice for is not tried, and the client is given
//! a message only while it is connected. A message that it was given before a loss was noticed it may still
//! send once it is connected again, even after the answer to the senders went out. That does no harm:
//! the id makes it a copy, and a block that is stored although its senders were told to try again is the
//! usual doubt, which the events' own ids settle.

use std::time::Duration;

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::{HeaderMap, Message};
use floodgate_event::block::SealedBlock;
use floodgate_event::subject;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::acks::Expected;
use super::publisher::{Outgoing, PublishError, Publisher};

/// A try waits for its ack for this part of the whole time before another one is made.
/// The server may have got it and be slow; more tries would make it slower still.
const SHARES: u32 = 4;
/// The first pause before another try, doubled with each one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_millis(500);

/// Returns once the block is on disk. It has the publisher's timeout from now on, and is given up earlier if
/// what waits for it has waited for twice as long.
///
/// # Errors
/// What was wrong with the last attempt.
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
    pause: Duration,
}

impl<'p> Attempts<'p> {
    fn new(publisher: &'p Publisher, block: SealedBlock, deadline: Instant) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, block.id.to_string());
        headers.insert(subject::EVENTS_HEADER, block.sources.to_string());
        let outgoing = Outgoing { headers, payload: block.payload };
        Self { publisher, outgoing, deadline, pause: FIRST_PAUSE }
    }

    /// Returns once the block is on disk, or with what was wrong last.
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

    /// What the server says to any of the tries, for as long as this one may take.
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

    /// When to try again; the fault itself if that is of no use, or too late.
    fn again(&mut self, fault: PublishError) -> Result<Instant, PublishError> {
        let again = Instant::now() + self.pause;
        if again >= self.deadline || !self.publisher.may_pass(&fault) {
            return Err(fault);
        }
        self.publisher.note_retry(&fault);
        self.pause = (self.pause * 2).min(MAX_PAUSE);
        Ok(again)
    }

    /// Whether an earlier try's ack comes while the next one waits.
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
