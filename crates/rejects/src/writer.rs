//! Writes the record to the region's stream, in blocks.

use std::time::Duration;

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::publish::PublishAck;
use async_nats::{HeaderMap, Request};
use bytes::Bytes;
use floodgate_event::proto::Reject;
use floodgate_event::reject::{self, MAX_ROWS};
use floodgate_event::{Backoff, Name, subject};
use floodgate_stream::Connection;
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, sleep_until, timeout_at};
use tracing::warn;

use crate::ask::{AskError, ask};
use crate::record::{Message, Rejects};

/// How long rows are gathered before they are written: few syncs of the disk, and none for a row alone.
const GATHER: Duration = Duration::from_millis(250);
/// How often connections become rows.
const MINUTE: Duration = Duration::from_secs(60);
/// How often old addresses are forgotten.
const FORGET: Duration = Duration::from_secs(5);
/// A block is closed once it has so many bytes.
const BLOCK_BYTES: usize = 256 * 1024;
/// How long the server may take to acknowledge a block.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The pauses before a block is published again, and how often it is tried: half a minute in all.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(10));
const MAX_TRIES: u32 = 8;

/// Writes what [`Rejects`] takes.
pub struct Writer {
    rejects: Rejects,
    messages: mpsc::Receiver<Message>,
}

/// Where blocks go, and from whom.
struct Target<'t> {
    nats: &'t Connection,
    region: &'t Name,
    gateway: &'t Name,
}

impl Writer {
    pub(crate) fn new(rejects: Rejects, messages: mpsc::Receiver<Message>) -> Self {
        Self { rejects, messages }
    }

    /// Writes the rows that [`Rejects`] takes, and once a minute those of connections, until it is dropped.
    pub async fn run(mut self, nats: Connection, region: Name, gateway: Name) {
        let target = Target { nats: &nats, region: &region, gateway: &gateway };
        let (mut minute, mut forget) = (ticks(MINUTE), ticks(FORGET));
        loop {
            tokio::select! {
                message = self.messages.recv() => match message {
                    Some(Message::Row(row)) => self.block(*row, &target).await,
                    Some(Message::Flush(done)) => self.flush(done, &target).await,
                    None => return,
                },
                _ = minute.tick() => self.connections(&target).await,
                _ = forget.tick() => self.rejects.0.caps.forget_old(),
            }
        }
    }

    /// Writes a row together with those that come soon after it.
    async fn block(&mut self, first: Reject, target: &Target<'_>) {
        let until = Instant::now() + GATHER;
        let mut bytes = first.encoded_len();
        let mut rows = vec![first];
        let mut flushed = None;
        while rows.len() < MAX_ROWS && bytes < BLOCK_BYTES && flushed.is_none() {
            match timeout_at(until, self.messages.recv()).await {
                Ok(Some(Message::Row(row))) => {
                    bytes += row.encoded_len();
                    rows.push(*row);
                }
                Ok(Some(Message::Flush(done))) => flushed = Some(done),
                Ok(None) | Err(_) => break,
            }
        }
        if flushed.is_none() {
            // Also a full block waits, so that a flood causes no more than four syncs of the disk in a
            // second.
            sleep_until(until).await;
        }
        self.write(rows, target).await;
        if let Some(done) = flushed {
            self.flush(done, target).await;
        }
    }

    async fn flush(&self, done: oneshot::Sender<()>, target: &Target<'_>) {
        self.connections(target).await;
        // Whoever asked may have gone.
        let _ = done.send(());
    }

    async fn connections(&self, target: &Target<'_>) {
        let mut rows = self.rejects.0.connections.take();
        while !rows.is_empty() {
            let rest = rows.split_off(rows.len().min(MAX_ROWS));
            self.write(rows, target).await;
            rows = rest;
        }
    }

    /// Publishes a block, again where that may help.
    async fn write(&self, mut rows: Vec<Reject>, target: &Target<'_>) {
        for row in &mut rows {
            row.id = reject::new_id();
        }
        let count = rows.len() as u64;
        let block = reject::block(target.region, target.gateway, rows);
        let block = Block { id: reject::new_id(), payload: block.encode_to_vec().into() };
        let mut backoff = BACKOFF;
        for tried in 1..=MAX_TRIES {
            target.nats.until_up().await;
            match block.publish(target).await {
                Ok(()) => return self.rejects.count("written", count),
                Err(error) if tried == MAX_TRIES => {
                    warn!(rows = count, %error, "refused requests were not recorded");
                }
                Err(_) => sleep(backoff.pause()).await,
            }
        }
        self.rejects.count("not_written", count);
    }

    /// The rows that wait.
    #[cfg(test)]
    pub(crate) fn queued(&mut self) -> Vec<Reject> {
        let mut rows = Vec::new();
        while let Ok(Message::Row(row)) = self.messages.try_recv() {
            rows.push(*row);
        }
        rows
    }
}

/// A block that may be published several times under one id.
struct Block {
    id: String,
    payload: Bytes,
}

impl Block {
    async fn publish(&self, target: &Target<'_>) -> Result<(), AskError> {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, self.id.as_str());
        let request = Request::new().headers(headers).payload(self.payload.clone());
        let _: PublishAck =
            ask(target.nats.client(), subject::rejects(target.gateway), request, TIMEOUT).await?;
        Ok(())
    }
}

fn ticks(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
