//! Publishes a block and waits for the ack of the right stream.

use std::time::Duration;

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use async_nats::{Client, HeaderMap, Message, StatusCode};
use floodgate_event::block::SealedBlock;
use floodgate_event::{Lane, subject};

use super::acks::Acks;
use crate::link::Link;

/// The most bytes of events in a block: a server takes messages of 8 MiB, of which headers need a part.
pub(crate) const MAX_BLOCK_BYTES: usize = 8 * 1024 * 1024 - 64 * 1024;

/// Publishes to one lane and shard.
#[derive(Clone)]
pub(super) struct Publisher {
    link: Link,
    acks: Acks,
    subject: String,
    stream: &'static str,
    timeout: Duration,
}

impl Publisher {
    pub(super) fn new(link: &Link, acks: Acks, lane: Lane, shard: u32, timeout: Duration) -> Self {
        Self {
            link: link.clone(),
            acks,
            subject: subject::regional(lane, shard),
            stream: subject::regional_stream(lane),
            timeout,
        }
    }

    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    /// Returns once the block is on disk.
    pub(super) async fn publish(&self, block: SealedBlock) -> Result<(), PublishError> {
        let mut losses = self.link.losses();
        losses.mark_unchanged();
        // The client would keep the message and send it after the sender has long been told to try again.
        if !self.link.is_up() {
            return Err(PublishError::Disconnected);
        }
        let ack = tokio::select! {
            ack = tokio::time::timeout(self.timeout, self.request(self.link.client(), block)) => {
                ack.map_err(|_| PublishError::TimedOut)??
            }
            _ = losses.changed() => return Err(PublishError::Disconnected),
        };
        self.check(&ack)
    }

    async fn request(&self, client: &Client, block: SealedBlock) -> Result<Message, PublishError> {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, block.id.to_string());
        headers.insert(subject::EVENTS_HEADER, block.sources.to_string());
        let expected = self.acks.expect();
        let (subject, reply) = (self.subject.clone(), expected.subject());
        client
            .publish_with_reply_and_headers(subject, reply, headers, block.payload)
            .await
            .map_err(PublishError::Client)?;
        expected.message().await.ok_or(PublishError::Disconnected)
    }

    fn check(&self, message: &Message) -> Result<(), PublishError> {
        if message.status == Some(StatusCode::NO_RESPONDERS) {
            return Err(PublishError::NoStream);
        }
        match serde_json::from_slice(&message.payload).map_err(PublishError::Malformed)? {
            Response::Err { error } => Err(PublishError::Refused(error)),
            Response::Ok(PublishAck { stream, .. }) if stream != self.stream => {
                Err(PublishError::OtherStream { expected: self.stream, found: stream })
            }
            Response::Ok(_) => Ok(()),
        }
    }
}

/// Why a block is not known to be on disk. All but `Refused`, `NoStream` and `Client` leave it open whether it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum PublishError {
    #[error("not connected to NATS")]
    Disconnected,
    #[error("no publish ack in time")]
    TimedOut,
    #[error("nothing takes this subject")]
    NoStream,
    /// A full stream, or whatever else the server says.
    #[error("refused by JetStream: {0}")]
    Refused(#[source] async_nats::jetstream::Error),
    #[error("acknowledged by stream {found}, and {expected} was meant")]
    OtherStream { expected: &'static str, found: String },
    #[error("unreadable publish ack: {0}")]
    Malformed(#[source] serde_json::Error),
    #[error("NATS client: {0}")]
    Client(#[source] async_nats::PublishError),
}

impl PublishError {
    /// What it is called in metrics.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::TimedOut => "timeout",
            Self::NoStream => "no_stream",
            Self::Refused(_) => "refused",
            Self::OtherStream { .. } => "other_stream",
            Self::Malformed(_) => "malformed_ack",
            Self::Client(_) => "client",
        }
    }
}
