//! Reading a stream in order, from a sequence on, for as long as it takes.

mod temporary;

use std::time::{Duration, SystemTime};

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, pull};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::RawMessageErrorKind;
use async_nats::jetstream::{Context, ErrorCode};
use bytes::Bytes;
use floodgate_event::snapshot::Digest256;
use futures::StreamExt as _;
use tokio::time::sleep;

pub use self::temporary::Temporary;

/// Messages that one pull may ask for: of whole ones, and of headers only.
/// What a link's round trip lets through depends on it.
const BATCH_MESSAGES: usize = 1_024;
const BATCH_HEADERS: usize = 4_096;
/// Bytes that one pull may bring; more than the largest message (8 MiB), or that one would never come.
const BATCH_BYTES: usize = 9 * 1024 * 1024;
/// A server that stays silent for twice as long is given up.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// Pulls are renewed this often.
const EXPIRES: Duration = Duration::from_secs(20);
/// After which the server forgets a consumer that nobody pulls from, where it could not be deleted.
const INACTIVE: Duration = Duration::from_secs(60);
/// The first and the longest wait before a failed read is tried again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));
/// How often a scan is taken up before it is given up: in a cluster a pull may come before its server
/// knows where the new consumer is.
const SCAN_TRIES: u32 = 5;
/// Wait before an unreachable server is asked for a message again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// An ordered reader. It keeps no state in the server that matters:
/// whatever goes wrong, it begins again behind the last message it gave out.
pub struct StreamReader {
    context: Context,
    stream: String,
    filter: String,
    /// The lowest sequence not given out yet.
    next: u64,
    headers_only: bool,
    open: Option<Open>,
    backoff: Duration,
}

struct Open {
    /// Its end is the consumer's.
    _temporary: Temporary,
    consumer: Consumer<pull::Config>,
    messages: pull::Stream,
    /// Messages that waited when reading began.
    waiting: u64,
    /// The consumer sequence that comes next; another one means that a message went missing on the way.
    expected: u64,
}

/// SHA-256 of the payload that stands at a sequence, if one does. An unreachable server is waited for.
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

/// Other answers, such as that a cluster has no leader for now, say nothing of the stream.
pub fn is_missing(kind: &GetStreamErrorKind) -> bool {
    matches!(kind, GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

/// A message of a stream.
#[derive(Clone, Debug)]
pub struct ReadMessage {
    /// Its sequence in the stream.
    pub sequence: u64,
    /// Its subject.
    pub subject: String,
    /// Its headers, if it has any.
    pub headers: Option<HeaderMap>,
    /// Its payload; empty when reading headers only.
    pub payload: Bytes,
    /// When the server stored it.
    pub published: SystemTime,
    /// Messages behind it that fit the filter, as the server counted them.
    pub pending: u64,
}

impl StreamReader {
    /// Reads messages of `stream` that fit `filter`, from sequence `from` on.
    pub fn new(context: Context, stream: String, filter: String, from: u64) -> Self {
        let next = from.max(1);
        Self { context, stream, filter, next, headers_only: false, open: None, backoff: BACKOFF.0 }
    }

    /// Leaves payloads behind.
    pub fn headers_only(mut self) -> Self {
        self.headers_only = true;
        self
    }

    /// The next message, whenever it comes; outages are waited out. Cancel-safe.
    pub async fn next(&mut self) -> ReadMessage {
        loop {
            match self.try_next().await {
                Ok(message) => {
                    self.backoff = BACKOFF.0;
                    return message;
                }
                Err(error) => {
                    tracing::debug!(stream = self.stream, filter = self.filter, %error, "reading is interrupted");
                    self.open = None;
                    self.back_off().await;
                }
            }
        }
    }

    /// The next message, or why it cannot be had now; the call after an error begins anew. Cancel-safe.
    ///
    /// # Errors
    /// If the server is out of reach, silent, or the consumer is gone.
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

    /// Visits the messages that are there now, each once, up to and with sequence `through`.
    ///
    /// # Errors
    /// As [`Self::try_next`], if that goes on, or at once if no consumer can be had; then some messages were
    /// visited and the scan must be begun anew.
    pub async fn scan(mut self, through: u64, mut visit: impl FnMut(&ReadMessage)) -> Result<(), ReadError> {
        let mut tries = 1;
        loop {
            let left = self.left(through).await?;
            match self.visit(left, through, &mut visit).await {
                Err(_) if tries < SCAN_TRIES => self.back_off().await,
                done => return done,
            }
            tries += 1;
        }
    }

    /// Whether everything that fits the filter, as of now, was given out. False if that cannot be learned.
    pub async fn is_level(&self) -> bool {
        let Some(open) = &self.open else { return false };
        let Ok(info) = open.consumer.get_info().await else { return false };
        info.num_pending == 0 && info.delivered.consumer_sequence + 1 == open.expected
    }

    async fn back_off(&mut self) {
        sleep(self.backoff).await;
        self.backoff = (self.backoff * 2).min(BACKOFF.1);
    }

    /// How many messages wait.
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
        let (temporary, consumer) = Temporary::create(&self.context, &self.stream, config).await?;
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

/// Why a stream cannot be read now.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ReadError(#[from] async_nats::Error);
