//! Publishes blocks to one lane and shard, once each, and tells the acks of the right stream
//! from what else may be answered.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use async_nats::{HeaderMap, Message, StatusCode};
use bytes::Bytes;
use floodgate_event::{Lane, subject};
use tokio::sync::watch;

use super::acks::{Acks, Expected};
use crate::metrics::Metrics;
use crate::nats::Connection;

/// The most bytes of events in a block: a server takes messages of 8 MiB, of which headers need a part.
pub(crate) const MAX_BLOCK_BYTES: usize = 8 * 1024 * 1024 - 64 * 1024;

/// What JetStream says while a cluster chooses a leader, starts, stops or has too much to do, and, of
/// a copy, while the block itself is still under way. Not of a full stream or disk, which do not pass
/// by themselves within seconds.
const PASSING: [ErrorCode; 10] = [
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
    metrics: Arc<Metrics>,
}

impl Publisher {
    pub(super) fn new(
        nats: &Connection,
        acks: Acks,
        (lane, shard): (Lane, u32),
        timeout: Duration,
        metrics: &Arc<Metrics>,
    ) -> Self {
        Self {
            nats: nats.clone(),
            acks,
            subject: subject::regional(lane, shard),
            stream: subject::regional_stream(lane),
            timeout,
            metrics: Arc::clone(metrics),
        }
    }

    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    /// How long a block may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// A change ends what is under way.
    pub(super) fn losses(&self) -> watch::Receiver<u64> {
        self.nats.losses()
    }

    /// Hands a message to the client. If there is no connection, one by another server is
    /// waited for; where there is no other server it fails at once.
    /// (The client would keep the message, and send it after the sender has long been told to try again.
    /// It may still do so with one that it is given just before it notices that the connection is lost.)
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

    /// Whether this says that the block is on disk; `None` if no answer can come any more.
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

    /// Whether another try may do what this one did not.
    pub(super) fn may_pass(&self, fault: &PublishError) -> bool {
        match fault {
            PublishError::Disconnected => self.nats.has_others(),
            fault => fault.is_passing(),
        }
    }

    /// Counts that a block is published once more.
    pub(super) fn note_retry(&self, fault: &PublishError) {
        self.metrics.blocks_retried.with_label_values(&[fault.kind()]).inc();
    }
}

/// What was wrong with a block's last try. It does not say that the block is not on disk:
/// an earlier try, whose ack did not come, may have got it there, even if the last one was `Refused`.
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

    /// Whether it may pass by itself, the connection apart. A stream without a leader listens to nothing.
    fn is_passing(&self) -> bool {
        match self {
            Self::TimedOut | Self::NoStream => true,
            Self::Refused(error) => PASSING.contains(&error.error_code()),
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
            assert!(passing.is_passing(), "{passing}");
        }
        // Full streams (10077 with the reason as text, 10047, 10023, 10002, 10122); a
        // message over max_msg_size.
        for code in [10077, 10047, 10023, 10002, 10122, 10054] {
            assert!(!refused(503, code).is_passing(), "{code}");
        }
        assert!(!PublishError::OtherStream { expected: "IN_BULK", found: "OTHER".to_owned() }.is_passing());
    }
}
