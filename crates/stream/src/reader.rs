//! Reads a stream in order from a sequence on, through all interruptions.

mod temporary;

use std::time::{Duration, SystemTime};

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, pull};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::RawMessageErrorKind;
use async_nats::jetstream::{Context, ErrorCode};
use bytes::Bytes;
use floodgate_event::{Backoff, Digest256};
use futures::StreamExt as _;
use tokio::time::sleep;

pub use self::temporary::TemporaryConsumer;

/// How many messages one pull may ask for: whole messages, and headers only. With a long round trip, the
/// throughput depends on it.
const BATCH_MESSAGES: usize = 1_024;
const BATCH_HEADERS: usize = 4_096;
/// The most bytes of one pull. It must be more than the largest message (8 MiB), which would never arrive
/// otherwise.
const BATCH_BYTES: usize = 9 * 1024 * 1024;
/// The reader gives up on a server that is silent for twice as long.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// How long a pull lasts before it is renewed.
const EXPIRES: Duration = Duration::from_secs(20);
/// After this the server deletes a consumer that nobody pulls from, if the reader could not delete it.
const INACTIVE: Duration = Duration::from_secs(60);
/// The pauses before a failed read is tried again.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(3));
/// How often a scan is tried. In a cluster, a pull may arrive before its server knows where the new consumer
/// is.
const SCAN_TRIES: u32 = 5;
/// The pause before an unreachable server is asked for a message again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// An ordered reader. It needs no state in the server: after any fault it continues behind the last message
/// that it returned.
pub struct StreamReader {
    context: Context,
    stream: String,
    filter: String,
    /// The lowest sequence that was not returned yet.
    next: u64,
    headers_only: bool,
    open: Option<Open>,
    backoff: Backoff,
}

struct Open {
    /// Deletes the consumer when it is dropped.
    _temporary: TemporaryConsumer,
    consumer: Consumer<pull::Config>,
    messages: pull::Stream,
    /// How many messages waited when reading began.
    waiting: u64,
    /// The next consumer sequence. Any other means that a message was lost on the way.
    expected: u64,
}

/// The SHA-256 of the payload at a sequence, if there is a message. Waits for as long as the server is
/// unreachable.
pub async fn digest_at(context: &Context, stream: &str, sequence: u64) -> Option<Digest256> {
    loop {
        match try_digest_at(context, stream, sequence).await {
            Ok(digest) => return digest,
            Err(error) => tracing::warn!(stream, sequence, %error, "cannot read what a checkpoint is of yet"),
        }
        sleep(RETRY_PAUSE).await;
    }
}

async fn try_digest_at(
    context: &Context,
    stream: &str,
    sequence: u64,
) -> Result<Option<Digest256>, async_nats::Error> {
    let stream = match context.get_stream(stream).await {
        Ok(stream) => stream,
        Err(error) if is_missing(&error.kind()) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match stream.get_raw_message(sequence).await {
        Ok(message) => Ok(Some(Digest256::of(&message.payload))),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Returns true if the stream does not exist. Other errors, such as a cluster without a leader, do not say
/// so.
pub fn is_missing(kind: &GetStreamErrorKind) -> bool {
    matches!(kind, GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

/// A message of a stream.
#[derive(Clone, Debug)]
pub struct ReadMessage {
    /// Its sequence in the stream.
    pub sequence: u64,
    /// The subject that it was published to.
    pub subject: String,
    /// Its headers, if it has any.
    pub headers: Option<HeaderMap>,
    /// Its payload, which is empty if only headers are read.
    pub payload: Bytes,
    /// When the server stored it.
    pub published: SystemTime,
    /// How many later messages match the filter, as the server counted them.
    pub pending: u64,
}

impl StreamReader {
    /// Reads messages of `stream` that match `filter`, from sequence `from` on.
    pub fn new(context: Context, stream: String, filter: String, from: u64) -> Self {
        let next = from.max(1);
        Self { context, stream, filter, next, headers_only: false, open: None, backoff: BACKOFF }
    }

    /// Reads headers without payloads.
    pub fn headers_only(mut self) -> Self {
        self.headers_only = true;
        self
    }

    /// Waits for the next message, through outages. Cancel-safe.
    pub async fn next(&mut self) -> ReadMessage {
        loop {
            match self.try_next().await {
                Ok(message) => {
                    self.backoff.reset();
                    return message;
                }
                Err(error) => {
                    tracing::debug!(stream = self.stream, filter = self.filter, %error, "reading is interrupted");
                    self.open = None;
                    sleep(self.backoff.pause()).await;
                }
            }
        }
    }

    /// Waits for the next message. After an error, the next call begins with a new consumer. Cancel-safe.
    ///
    /// # Errors
    /// If the server is unreachable or silent, or the consumer was deleted.
    pub async fn try_next(&mut self) -> Result<ReadMessage, ReadError> {
        let message = match self.open().await?.messages.next().await {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Err(self.fail(error.into())),
            None => return Err(self.fail("the consumer ended".into())),
        };
        let (sequence, consumer_sequence, pending, published) = match message.info() {
            Ok(info) => (info.stream_sequence, info.consumer_sequence, info.pending, info.published),
            Err(error) => return Err(self.fail(error)),
        };
        let open = self.open().await?;
        if consumer_sequence != open.expected {
            return Err(self.fail("a message went missing on the way".into()));
        }
        open.expected += 1;
        self.next = sequence + 1;
        let message = message.message;
        Ok(ReadMessage {
            sequence,
            subject: message.subject.to_string(),
            headers: message.headers,
            payload: message.payload,
            published: published.into(),
            pending,
        })
    }

    /// Visits each message that the stream holds now once, up to and including sequence `through`.
    ///
    /// # Errors
    /// If no consumer can be created, or if reading fails several times. Some messages were visited by then,
    /// and the scan must be started again.
    pub async fn scan(mut self, through: u64, mut visit: impl FnMut(&ReadMessage)) -> Result<(), ReadError> {
        let mut tries = 1;
        loop {
            let left = self.left(through).await?;
            match self.visit(left, through, &mut visit).await {
                Err(_) if tries < SCAN_TRIES => sleep(self.backoff.pause()).await,
                done => return done,
            }
            tries += 1;
        }
    }

    /// Returns true if every message that matches the filter was returned. False also if the server does not
    /// answer.
    pub async fn is_caught_up(&self) -> bool {
        let Some(open) = &self.open else { return false };
        let Ok(info) = open.consumer.get_info().await else { return false };
        info.num_pending == 0 && info.delivered.consumer_sequence + 1 == open.expected
    }

    /// How many messages up to `through` are left to read.
    async fn left(&mut self, through: u64) -> Result<u64, ReadError> {
        if self.next > through { Ok(0) } else { Ok(self.open().await?.waiting) }
    }

    async fn visit(
        &mut self,
        mut left: u64,
        through: u64,
        visit: &mut impl FnMut(&ReadMessage),
    ) -> Result<(), ReadError> {
        while left > 0 {
            let message = self.try_next().await?;
            if message.sequence > through {
                break;
            }
            visit(&message);
            left = if message.sequence == through { 0 } else { message.pending };
        }
        Ok(())
    }

    async fn open(&mut self) -> Result<&mut Open, ReadError> {
        if self.open.is_none() {
            self.open = Some(self.connect().await?);
        }
        self.open.as_mut().ok_or_else(|| ReadError("not open".into()))
    }

    fn fail(&mut self, error: async_nats::Error) -> ReadError {
        self.open = None;
        ReadError(error)
    }

    async fn connect(&self) -> Result<Open, ReadError> {
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: self.next },
            ack_policy: AckPolicy::None,
            filter_subject: self.filter.clone(),
            headers_only: self.headers_only,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: INACTIVE,
            ..pull::Config::default()
        };
        let (temporary, consumer) = TemporaryConsumer::create(&self.context, &self.stream, config).await?;
        let waiting = consumer.cached_info().num_pending;
        let messages = consumer
            .stream()
            .max_messages_per_batch(if self.headers_only { BATCH_HEADERS } else { BATCH_MESSAGES })
            .max_bytes_per_batch(BATCH_BYTES)
            .heartbeat(HEARTBEAT)
            .expires(EXPIRES)
            .messages();
        let messages = messages.await.map_err(|error| ReadError(error.into()))?;
        Ok(Open { _temporary: temporary, consumer, messages, waiting, expected: 1 })
    }
}

/// Why a stream cannot be read at the moment.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ReadError(#[from] async_nats::Error);
