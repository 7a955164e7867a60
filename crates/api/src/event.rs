//! Events, as the API shows and lists them.

use std::collections::BTreeMap;

use floodgate_event::{Lane, Name, ShardId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// An event, without its body: its metadata, what handlers did, its deliveries and their attempts.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Event)]
pub struct EventView {
    /// The event's id, which consumers see in `webhook-id`.
    pub id: String,
    /// What became of it.
    #[schema(value_type = Status)]
    pub status: String,
    /// Why it is not delivered, where a handler decided that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
    /// Of a quarantined event: the functions that the handler failed in, innermost first, as far as its
    /// module names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trace: Vec<String>,
    /// The tenant that owns its source.
    pub tenant: String,
    /// The source that it came through.
    pub source: String,
    /// The event's type; empty if it has none.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The provider's own id; of one over 512 bytes `sha256:` and its SHA-256 in hex.
    pub provider_id: String,
    /// Fields of the request (`id`, `type`, `order`) that were there and could not be read, by why:
    /// `not_json`, `not_text`, `malformed` or `too_long`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unread: BTreeMap<String, String>,
    /// The lane that it went through.
    pub lane: Option<Lane>,
    /// The region that accepted it first.
    pub region: String,
    /// When a gateway received it.
    #[schema(format = DateTime)]
    pub received_at: String,
    /// When it was written to the central log.
    #[schema(format = DateTime)]
    pub stored_at: String,
    /// How its signature was verified.
    pub scheme: String,
    /// The id of the secret that it was signed with.
    pub secret_id: String,
    /// The revision that it was handled by.
    pub config_revision: u64,
    /// The address that sent it.
    pub remote_address: String,
    /// The size of the signed bytes; null if they were dropped.
    pub raw_bytes: Option<usize>,
    /// The size of what handlers made of the body; null if they left it as it was.
    pub payload_bytes: Option<usize>,
    /// The handlers that ran on it, in order.
    pub handlers: Vec<HandlerRun>,
    /// The event that a handler split it from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub parent: Option<String>,
    /// What a handler made of it, if one split it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Child>,
    /// Where it is in the central log.
    pub position: Position,
    /// Where it is in its region's stream.
    pub origin: Option<Origin>,
    /// Of a stored event: whether any destination gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing: Option<Routing>,
    /// Its deliveries, one to each destination that subscribed to it.
    pub deliveries: Vec<Delivery>,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is delivered to the destinations that subscribed to it.
    Stored,
    /// A handler dropped it.
    Filtered,
    /// A handler answered it.
    Responded,
    /// A handler failed on it.
    Quarantined,
}

/// What became of a stored event as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Routing {
    /// At least one destination gets it, or got it.
    Routed,
    /// No destination subscribed to it.
    Unmatched,
    /// It was not matched to destinations yet.
    ToMatch,
}

/// A handler that ran on an event.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct HandlerRun {
    /// The name of the handler.
    pub name: String,
    /// The version that ran.
    pub version: u32,
    /// What it decided: `pass`, `change`, `drop`, `split`, `respond` or `fault`.
    pub outcome: String,
}

/// An event that a handler made of another one.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Child {
    /// Its place among the events that the handler made.
    pub ordinal: u32,
    /// The id of the event that was made.
    pub id: String,
    /// The type of the event that was made.
    #[serde(rename = "type")]
    pub event_type: String,
}

/// A place in the central log.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Position {
    /// The shard that stores the event.
    #[schema(value_type = u32)]
    pub shard: ShardId,
    /// The log entry's sequence.
    pub sequence: u64,
    /// The event's place in that entry.
    pub index: u32,
}

/// A place in a region's stream.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Origin {
    /// The region that holds the stream.
    pub region: String,
    /// The stream's incarnation: tells it from one of the same name before it.
    pub incarnation: String,
    /// The lane of the stream.
    pub lane: Option<Lane>,
    /// The sequence of the message that holds the event.
    pub sequence: u64,
}

/// An event's delivery to one destination.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// The destination that gets the event.
    pub destination: String,
    /// 0, and one more for each replay.
    pub generation: u32,
    /// What became of it so far.
    pub state: DeliveryState,
    /// Its attempts, in the order they were made.
    pub attempts: Vec<Attempt>,
    /// When it is tried again; null if that is at once, or never.
    #[schema(format = DateTime)]
    pub next_attempt_at: Option<String>,
    /// Why it was discarded, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
}

/// What became of a delivery so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// Not attempted yet, or to be attempted again.
    Pending,
    /// The consumer answered 2xx.
    Delivered,
    /// Given up after its last attempt, or after an answer of 410.
    Dead,
    /// Closed without success: its destination was deleted, or held more than `forward.max_held`.
    Discarded,
}

/// One attempt of a delivery.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// 1 for the first.
    pub number: u32,
    /// When the attempt began.
    #[schema(format = DateTime)]
    pub started_at: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u32,
    /// How the attempt ended.
    pub outcome: AttemptOutcome,
    /// The answer's status; null if there was no answer.
    pub status: Option<u32>,
    /// Why there was no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<String>,
    /// The start of the last answer's body, at most 20 KiB; what is not UTF-8 is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub response: Option<String>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptOutcome {
    /// The consumer answered 2xx.
    Delivered,
    /// Answered otherwise, or not sent.
    Failed,
    /// Sent and not answered: the consumer may have taken it.
    Ambiguous,
}

/// Which quarantined events to list.
#[derive(Clone, Debug, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// What became of the events. Other statuses are not listed yet.
    #[param(value_type = QuarantinedStatus, required = true)]
    pub status: Option<String>,
    /// Only events of this source.
    #[param(nullable = false)]
    pub source: Option<Name>,
    /// Only events that this handler failed on.
    #[param(nullable = false)]
    pub handler: Option<Name>,
    /// The most events of the page.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 1000, default = 100, nullable = false)]
    pub limit: Option<usize>,
    /// The `next` of the page before.
    #[param(nullable = false)]
    pub after: Option<String>,
}

impl ListQuery {
    /// Events of a page, where the caller does not say.
    pub const DEFAULT_LIMIT: usize = 100;
    /// The most events of a page.
    pub const MAX_LIMIT: usize = 1_000;
}

/// The one status whose events can be listed and replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum QuarantinedStatus {
    /// A handler failed on it.
    Quarantined,
}

/// A page of quarantined events, newest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Quarantined {
    /// The page, which may hold fewer events than asked for.
    pub items: Vec<QuarantinedEvent>,
    /// What `after` is for the page behind this one; null on the last.
    #[schema(required = true)]
    pub next: Option<String>,
}

/// A quarantined event, in short.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct QuarantinedEvent {
    /// The id of the event.
    pub id: String,
    /// What became of it: `quarantined`.
    #[schema(value_type = QuarantinedStatus)]
    pub status: String,
    /// The source that it came through.
    pub source: String,
    /// The event's type, cut to 200 bytes.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The region that accepted it.
    pub region: String,
    /// The handler that failed on it.
    pub handler: String,
    /// The version of the handler that failed.
    pub version: u32,
    /// How it failed: `trap`, `deadline`, `memory`, `output`, `error` or `load`.
    pub kind: String,
    /// What the failure says, cut to 200 bytes.
    pub message: String,
    /// When a gateway received it.
    #[schema(format = DateTime)]
    pub received_at: String,
    /// When it was written to the central log.
    #[schema(format = DateTime)]
    pub stored_at: String,
}
