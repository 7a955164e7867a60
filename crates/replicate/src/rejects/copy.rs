//! Copies the refused requests of one region to the centre, in order and each once.
//!
//! The copier keeps no state of its own: the last copy in the centre names the regional message that it is
//! of. Each publish expects that copy to be the last, so that of two relays that copy at once, only one
//! succeeds.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::PublishError;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use floodgate_event::causes::chain;
use floodgate_event::proto::RejectBlock;
use floodgate_event::reject::MAX_BLOCK_BYTES;
use floodgate_event::{Backoff, LogRate, format, subject};
use floodgate_stream::RegionConnection;
use floodgate_stream::placement::{Centre, Rejects};
use floodgate_stream::provision::{self, ProvisionError};
use floodgate_stream::reader::{ReadError, ReadMessage, StreamReader};
use prometheus::{IntCounterVec, Opts, Registry};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::sleep;

/// The pauses before an interrupted copier begins again.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));

/// Copies the refused requests of one region.
pub struct Copier {
    /// The centre's JetStream.
    pub centre: Context,
    /// The region to copy from.
    pub region: RegionConnection,
    /// How the centre's streams are kept.
    pub placement: Centre,
    /// How long the centre keeps the records.
    pub rejects: Rejects,
    /// How many regions share the centre's stream.
    pub regions: usize,
    /// True while this relay is the one that copies.
    pub may_write: watch::Receiver<bool>,
    /// Counts the blocks that this relay copies.
    pub metrics: CopyMetrics,
}

/// Counts blocks of refused requests that were copied to the centre, by region.
#[derive(Clone)]
pub struct CopyMetrics(IntCounterVec);

impl CopyMetrics {
    /// Registers the metric.
    ///
    /// # Errors
    /// If the name is registered already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let copied = IntCounterVec::new(
            Opts::new("floodgate_reject_blocks_copied_total", "Blocks of refused requests that were copied."),
            &["region"],
        )?;
        registry.register(Box::new(copied.clone()))?;
        Ok(Self(copied))
    }
}

/// A message of the region, as the centre's copy names it.
struct Origin {
    incarnation: String,
    sequence: u64,
}

impl Origin {
    fn to_header(&self, region: &str) -> String {
        format!("{region}/{}/{}", self.incarnation, self.sequence)
    }

    fn from_header(text: &str) -> Option<Self> {
        let mut parts = text.rsplitn(3, '/');
        let sequence = parts.next()?.parse().ok()?;
        Some(Self { sequence, incarnation: parts.next()?.to_owned() })
    }
}

impl Copier {
    /// Copies while this relay may write, for ever and through all interruptions.
    pub async fn run(mut self) {
        let (mut backoff, lines) = (BACKOFF, LogRate::new());
        loop {
            // The sender lives as long as the relay.
            if self.may_write.wait_for(|may| *may).await.is_err() {
                return;
            }
            let mut may_write = self.may_write.clone();
            let interrupted = tokio::select! {
                interrupted = self.copy(&mut backoff) => interrupted,
                _ = may_write.wait_for(|may| !*may) => continue,
            };
            if let (Err(error), Some(left_out)) = (interrupted, lines.admit()) {
                let region = self.region.name.as_str();
                tracing::warn!(region, error = %chain(&error), left_out, "refused requests are not copied now");
            }
            sleep(backoff.pause()).await;
        }
    }

    async fn copy(&self, backoff: &mut Backoff) -> Result<(), CopyError> {
        provision::centre_rejects(&self.centre, self.placement, self.rejects, self.regions).await?;
        let (incarnation, last) = self.look().await?;
        let central = self.centre.get_stream(subject::REJECTS_STREAM).await.map_err(CopyError::other)?;
        let (mut copied, origin) = self.last_copy(&central).await?;
        let from = match origin {
            // A region that was restored may have gone back.
            Some(origin) if origin.incarnation == incarnation && origin.sequence <= last => {
                origin.sequence + 1
            }
            _ => 1,
        };
        let stream = subject::REJECTS_STREAM.to_owned();
        let filter = subject::REJECTS_WILDCARD.to_owned();
        let mut reader = StreamReader::new(self.region.context.clone(), stream, filter, from);
        let oldest = central.cached_info().state.first_timestamp;
        loop {
            let message = reader.try_next().await?;
            // Without a copy to go by, what the centre has made room for already is not copied again.
            let is_gone = copied == 0 && OffsetDateTime::from(message.published) < oldest;
            if is_gone || !is_good(&message) {
                continue;
            }
            let origin = Origin { incarnation: incarnation.clone(), sequence: message.sequence };
            copied = self.publish(message, &origin, copied).await?;
            self.metrics.0.with_label_values(&[self.region.name.as_str()]).inc();
            backoff.reset();
        }
    }

    /// The incarnation of the region's stream, and its last sequence.
    async fn look(&self) -> Result<(String, u64), CopyError> {
        let stream =
            self.region.context.get_stream(subject::REJECTS_STREAM).await.map_err(CopyError::other)?;
        let info = stream.cached_info();
        Ok((format!("{:x}", info.created.unix_timestamp_nanos() / 1_000), info.state.last_sequence))
    }

    /// The sequence of the last copy of this region's messages, 0 if there is none, and what it is a copy of.
    async fn last_copy(&self, central: &Stream) -> Result<(u64, Option<Origin>), CopyError> {
        let message = match central.get_last_raw_message_by_subject(&self.target()).await {
            Ok(message) => message,
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => return Ok((0, None)),
            Err(error) => return Err(CopyError::other(error)),
        };
        let origin = message.headers.get(subject::ORIGIN_HEADER);
        Ok((message.sequence, origin.and_then(|origin| Origin::from_header(origin.as_str()))))
    }

    /// Publishes a copy behind the last one, and returns its sequence.
    async fn publish(&self, message: ReadMessage, origin: &Origin, after: u64) -> Result<u64, CopyError> {
        let mut headers = HeaderMap::new();
        headers.insert(subject::ORIGIN_HEADER, origin.to_header(&self.region.name));
        // The server has checked the subject, and a gateway can write anything into its blocks.
        let gateway = message.subject.rsplit('.').next().unwrap_or_default();
        headers.insert(subject::GATEWAY_HEADER, gateway);
        let publish = PublishMessage::build()
            .headers(headers)
            .expected_last_subject_sequence(after)
            .payload(message.payload);
        let ack = self.centre.send_publish(self.target(), publish).await?.await?;
        Ok(ack.sequence)
    }

    fn target(&self) -> String {
        subject::rejects(&self.region.name)
    }
}

/// A gateway is not trusted to keep to the bounds of a block. What breaks them is left out of the centre.
fn is_good(message: &ReadMessage) -> bool {
    let is_good = message.payload.len() <= MAX_BLOCK_BYTES
        && format::decode::<RejectBlock>(message.payload.clone()).is_ok();
    if !is_good {
        tracing::debug!(
            subject = message.subject,
            sequence = message.sequence,
            "no block of refused requests"
        );
    }
    is_good
}

/// Why copying was interrupted. It begins again.
#[derive(Debug, thiserror::Error)]
enum CopyError {
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    #[error("the region's stream: {0}")]
    Read(#[from] ReadError),
    #[error("the centre's stream: {0}")]
    Publish(#[from] PublishError),
    #[error("{0}")]
    Other(#[source] async_nats::Error),
}

impl CopyError {
    fn other(error: impl Into<async_nats::Error>) -> Self {
        Self::Other(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_read_as_it_was_written() {
        let header = Origin { incarnation: "62f".to_owned(), sequence: 7 }.to_header("eu");
        assert_eq!(header, "eu/62f/7");
        let read = Origin::from_header(&header).unwrap();
        assert_eq!((read.incarnation.as_str(), read.sequence), ("62f", 7));
        assert!(Origin::from_header("eu/62f/x").is_none() && Origin::from_header("7").is_none());
    }
}
