//! What others see of deliveries.

use floodgate_event::proto::attempt::Outcome as ProtoOutcome;
use floodgate_event::proto::{self};
use floodgate_event::time::from_unix_micros;
use serde::Serialize;
use time::OffsetDateTime;

use super::key::DeliveryId;
use super::row::{Phase, Row};

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// Not attempted yet, or to be attempted again.
    Pending,
    /// The consumer answered 2xx.
    Delivered,
    /// Given up after its last attempt, or after an answer of 410.
    Dead,
    /// Given up because its destination was removed or disabled.
    Discarded,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptOutcome {
    /// Answered by 2xx.
    Delivered,
    /// Answered otherwise, or not sent.
    Failed,
    /// Sent and not answered: the consumer may have taken it.
    Ambiguous,
}

/// An event's delivery to one destination.
#[derive(Clone, Debug, Serialize)]
pub struct DeliveryView {
    /// The destination's name.
    pub destination: String,
    /// 0, and one more for each replay.
    pub generation: u32,
    /// Where it stands.
    pub state: DeliveryState,
    /// In the order they were made.
    pub attempts: Vec<AttemptView>,
    /// When it is tried again; absent if that is at once, or never.
    #[serde(with = "time::serde::rfc3339::option")]
    pub next_attempt_at: Option<OffsetDateTime>,
    /// Why it was discarded, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One attempt.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptView {
    /// 1 for the first.
    pub number: u32,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// How long it took.
    pub duration_ms: u32,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// The answer's status, if there was an answer.
    pub status: Option<u32>,
    /// Why there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Start of the last answer's body, at most 20 KiB; what is not UTF-8 is replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
}

/// A delivery that was given up.
#[derive(Clone, Debug, Serialize)]
pub struct DeadLetter {
    /// The log entry's sequence.
    pub log_sequence: u64,
    /// The event's place in that entry.
    pub index: u32,
    /// The event's source.
    pub source: String,
    /// The delivery itself.
    #[serde(flatten)]
    pub delivery: DeliveryView,
}

/// A page of dead letters, in the order of the log.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DeadLetters {
    /// The page.
    pub items: Vec<DeadLetter>,
    /// What to ask for the next page with; absent on the last one.
    pub next: Option<String>,
}

impl DeliveryView {
    pub(super) fn new(id: &DeliveryId, row: &Row, attempts: Vec<AttemptView>) -> Self {
        Self {
            destination: id.destination.to_string(),
            generation: id.generation,
            state: row.phase().into(),
            attempts,
            next_attempt_at: (row.due_us > 0).then(|| from_unix_micros(row.due_us).into()),
            reason: (!row.reason.is_empty()).then(|| row.reason.clone()),
        }
    }
}

impl From<proto::Attempt> for AttemptView {
    fn from(attempt: proto::Attempt) -> Self {
        let response =
            (!attempt.response.is_empty()).then(|| String::from_utf8_lossy(&attempt.response).into_owned());
        Self {
            number: attempt.number,
            started_at: from_unix_micros(attempt.started_at_us).into(),
            duration_ms: attempt.duration_ms,
            outcome: attempt.outcome().into(),
            status: (attempt.status != 0).then_some(attempt.status),
            error: (!attempt.error.is_empty()).then_some(attempt.error),
            response,
        }
    }
}

impl From<Phase> for DeliveryState {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Pending => Self::Pending,
            Phase::Delivered => Self::Delivered,
            Phase::Dead => Self::Dead,
            Phase::Discarded => Self::Discarded,
        }
    }
}

impl From<ProtoOutcome> for AttemptOutcome {
    fn from(outcome: ProtoOutcome) -> Self {
        match outcome {
            ProtoOutcome::Delivered => Self::Delivered,
            ProtoOutcome::Ambiguous => Self::Ambiguous,
            ProtoOutcome::Failed | ProtoOutcome::Unspecified => Self::Failed,
        }
    }
}
