//! Publishes blocks to one lane and shard, once each, and checks that the right stream acknowledged them.

use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use async_nats::{HeaderMap, Message, StatusCode};
use bytes::Bytes;
use floodgate_event::{Lane, ShardId, subject};
use floodgate_stream::Connection;
use floodgate_stream::contract::MAX_MESSAGE_BYTES;
use tokio::sync::watch;

use super::EnqueueMetrics;
use super::acks::{Acks, Expected};

/// The most bytes of events in a block. The rest of the largest message is for headers.
pub const MAX_BLOCK_BYTES: usize = MAX_MESSAGE_BYTES - 64 * 1024;

/// The errors of JetStream while a cluster elects a leader, starts, stops or is overloaded, and of a copy
/// while the block itself is still under way. A full stream or disk is not among them, because it does not
/// recover by itself within seconds.
const TRANSIENT: [ErrorCode; 10] = [
    ErrorCode::CLUSTER_INCOMPLETE,
    ErrorCode::CLUSTER_NOT_ACTIVE,
    ErrorCode::CLUSTER_NOT_ASSIGNED,
    ErrorCode::CLUSTER_NOT_AVAILABLE,
    ErrorCode::CLUSTER_NOT_LEADER,
    ErrorCode::JETSTREAM_NOT_ENABLED,
    ErrorCode::RAFT_GENERAL,
    ErrorCode::STREAM_OFFLINE,
    ErrorCode::STREAM_DUPLICATE_MESSAGE_CONFLICT,
    ErrorCode::STREAM_TOO_MANY_REQUESTS,
];

/// A message that carries a block, the same in each attempt to publish it.
pub(super) struct Outgoing {
    pub(super) headers: HeaderMap,
    pub(super) payload: Bytes,
}

/// Publishes to one lane and shard.
#[derive(Clone)]
pub(super) struct Publisher {
    nats: Connection,
    acks: Acks,
    subject: String,
    stream: &'static str,
    timeout: Duration,
    metrics: EnqueueMetrics,
}

impl Publisher {
    pub(super) fn new(
        nats: &Connection,
        acks: Acks,
        (lane, shard): (Lane, ShardId),
        timeout: Duration,
        metrics: &EnqueueMetrics,
    ) -> Self {
        Self {
            nats: nats.clone(),
            acks,
            subject: subject::regional(lane, shard),
            stream: subject::regional_stream(lane),
            timeout,
            metrics: metrics.clone(),
        }
    }

    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    /// How long a block may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Counts lost connections. A change ends what is under way.
    pub(super) fn losses(&self) -> watch::Receiver<u64> {
        self.nats.losses()
    }

    /// Gives a message to the client. Without a connection it waits for another server, or fails at once if
    /// there is none. Otherwise the client would keep the message and send it long after its sender got a
    /// 503. This may still happen to a message that the client gets just before it notices that the
    /// connection is lost.
    pub(super) async fn send(&self, outgoing: &Outgoing) -> Result<Expected, PublishError> {
        if !self.nats.is_up() && !self.nats.has_others() {
            return Err(PublishError::Disconnected);
        }
        self.nats.until_up().await;
        let expected = self.acks.expect();
        let (headers, payload) = (outgoing.headers.clone(), outgoing.payload.clone());
        self.nats
            .client()
            .publish_with_reply_and_headers(self.subject.clone(), expected.subject(), headers, payload)
            .await
            .map_err(PublishError::Client)?;
        Ok(expected)
    }

    /// Checks that the answer is the ack of the right stream. `None` means that no answer can arrive any
    /// more.
    pub(super) fn check(&self, answer: Option<Message>) -> Result<(), PublishError> {
        let message = answer.ok_or(PublishError::Disconnected)?;
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

    /// Returns true if another try may succeed.
    pub(super) fn is_retryable(&self, fault: &PublishError) -> bool {
        match fault {
            PublishError::Disconnected => self.nats.has_others(),
            fault => fault.is_transient(),
        }
    }

    /// Counts that a block is published again.
    pub(super) fn count_retry(&self, fault: &PublishError) {
        self.metrics.blocks_retried.with_label_values(&[fault.kind()]).inc();
    }
}

/// The error of a block's last try. It does not mean that the block is not on disk: an earlier try whose ack
/// was lost may have written it, even if the last one was `Refused`.
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
    /// The label in metrics.
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

    /// Returns true if the error may pass by itself, apart from a lost connection. A stream without a leader
    /// has no subscription, which is `NoStream`.
    fn is_transient(&self) -> bool {
        match self {
            Self::TimedOut | Self::NoStream => true,
            Self::Refused(error) => TRANSIENT.contains(&error.error_code()),
            Self::Disconnected | Self::OtherStream { .. } | Self::Malformed(_) | Self::Client(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u16, err_code: u64) -> PublishError {
        let text =
            serde_json::json!({"code": code, "err_code": err_code, "description": "as the server says"});
        PublishError::Refused(serde_json::from_value(text).unwrap())
    }

    #[test]
    fn only_what_passes_by_itself_is_tried_again() {
        for passing in [
            PublishError::NoStream,
            PublishError::TimedOut,
            refused(503, 10008),
            refused(500, 10009),
            refused(409, 10158),
            refused(429, 10167),
        ] {
            assert!(passing.is_transient(), "{passing}");
        }
        // Full streams (10077 with the reason as text, 10047, 10023, 10002, 10122); a
        // message over max_msg_size.
        for code in [10077, 10047, 10023, 10002, 10122, 10054] {
            assert!(!refused(503, code).is_transient(), "{code}");
        }
        assert!(!PublishError::OtherStream { expected: "IN_BULK", found: "OTHER".to_owned() }.is_transient());
    }
}
