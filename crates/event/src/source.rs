//! What an operator says of a source. Part of the admin API's documents and of the snapshots made from them.

mod locator;

pub use locator::{InvalidLocator, Locator};

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::type_pattern::TypePattern;
use crate::{Lane, Name};

/// What makes two requests the same event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(utoipa::ToSchema),
    schema(
        description = "What makes two requests the same event. `id`: the provider's id where the signature covers it, else as `body`. `body`: the raw body, and the event type where the signature does not cover it. `delivery`: the provider's id even where the signature does not cover it. `none`: each request is an event of its own."
    )
)]
#[serde(rename_all = "lowercase")]
pub enum Dedup {
    /// The provider's id where the signature covers it, else as [`Dedup::Body`].
    #[default]
    Id,
    /// The raw body, and the event type where the signature does not cover it.
    Body,
    /// The provider's id, even if the signature does not cover it, or the raw body if there is none. Whoever
    /// has one signed request can send it under any number of ids, so use this only if nobody but the
    /// provider and you sees whole requests.
    Delivery,
    /// Nothing: each request is an event of its own.
    None,
}

/// What happens to the signed bytes of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(utoipa::ToSchema),
    schema(
        description = "Whether the signed bytes stay with the event, so that a consumer can verify the provider's own signature."
    )
)]
#[serde(rename_all = "lowercase")]
pub enum RawPolicy {
    /// The signed bytes stay with the event, so that a consumer can check the provider's own signature.
    #[default]
    Keep,
    /// The signed bytes are dropped. A source whose handlers redact needs this.
    Drop,
}

/// What happens to an event when a handler fails on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(utoipa::ToSchema),
    schema(
        description = "What happens to an event when a handler fails on it. `quarantine`: it is stored with the fault and not delivered, and the sender gets its 2xx. `reject`: the sender gets a 5xx, and tries again. `pass`: it continues as if the handler were not there."
    )
)]
#[serde(rename_all = "lowercase")]
pub enum OnFault {
    /// The event is stored with the fault and not delivered. The sender gets its 2xx.
    #[default]
    Quarantine,
    /// The event is refused with a 500, so that the sender tries again.
    Reject,
    /// The event continues as if the handler were not there. Do not use this for a handler that redacts.
    Pass,
}

/// How fast a source may send, as a token bucket in each gateway process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(utoipa::ToSchema),
    schema(description = "How fast a source may send, in each gateway process.")
)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// How many requests are taken per second in the long run.
    #[cfg_attr(feature = "schema", schema(value_type = u32, minimum = 1))]
    pub per_second: NonZeroU32,
    /// How many requests may come at once.
    #[cfg_attr(feature = "schema", schema(value_type = u32, minimum = 1))]
    pub burst: NonZeroU32,
}

/// What happens to a request whose signature fails. It gets 401 either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnVerifyFailure {
    /// It is refused, and recorded.
    #[default]
    Refuse,
    /// It is also held: sealed to the region's key, to be verified again once the source is corrected.
    Hold,
}

impl OnVerifyFailure {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a source's answer to an accepted event is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub enum AcceptedStatus {
    /// 200 with the event's id.
    #[default]
    Ok,
    /// 202 with the event's id.
    Accepted,
    /// 204, without a body.
    NoContent,
}

impl TryFrom<u16> for AcceptedStatus {
    type Error = InvalidStatus;

    fn try_from(status: u16) -> Result<Self, InvalidStatus> {
        match status {
            200 => Ok(Self::Ok),
            202 => Ok(Self::Accepted),
            204 => Ok(Self::NoContent),
            other => Err(InvalidStatus(other)),
        }
    }
}

impl From<AcceptedStatus> for u16 {
    fn from(status: AcceptedStatus) -> Self {
        match status {
            AcceptedStatus::Ok => 200,
            AcceptedStatus::Accepted => 202,
            AcceptedStatus::NoContent => 204,
        }
    }
}

/// A status that a source may not answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("status {0}: a source answers with 200, 202 or 204")]
pub struct InvalidStatus(u16);

/// How a source's events find their lane, their shard and their limits: everything but secrets and handlers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intake {
    /// Where the provider's id is; the scheme's preset if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<Locator>,
    /// Where the event's type is; the scheme's preset if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<Locator>,
    /// What makes two requests the same event.
    #[serde(default)]
    pub dedup: Dedup,
    /// The event types that are taken, as they are received; none for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<Vec<TypePattern>>,
    /// What happens to the signed bytes of an event.
    #[serde(default)]
    pub raw: RawPolicy,
    /// What happens to a request whose signature fails. The default is left out, because gateways of earlier
    /// releases refuse fields that they do not know.
    #[serde(default, skip_serializing_if = "OnVerifyFailure::is_default")]
    pub on_verify_failure: OnVerifyFailure,
    /// What events are ordered by, if by anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_by: Option<Locator>,
    /// The lane, where `lanes` does not name the type.
    #[serde(default)]
    pub lane: Lane,
    /// Lanes by exact event type.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lanes: BTreeMap<String, Lane>,
    /// The answer to an accepted event.
    #[serde(default)]
    pub status: AcceptedStatus,
    /// The largest body, in bytes, as sent and decompressed; at most [`Intake::MAX_BODY_BYTES`].
    #[serde(default = "Intake::default_max_body_bytes")]
    pub max_body_bytes: u32,
    /// How fast the source may send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// Requests are refused with 503 once the region's configuration is older than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_config_age_seconds: Option<u64>,
}

impl Intake {
    /// The most that `max_body_bytes` may say; a block of one such event still fits a NATS message of 8 MiB.
    pub const MAX_BODY_BYTES: u32 = 3 * 1024 * 1024;
    /// What `max_body_bytes` is where it is left out: 1 MiB.
    pub const DEFAULT_MAX_BODY_BYTES: u32 = 1024 * 1024;
    /// The most event types that `lanes` may name.
    pub const MAX_LANES: usize = 1_000;
    /// The most patterns of `types`.
    pub const MAX_TYPES: usize = 256;

    const fn default_max_body_bytes() -> u32 {
        Self::DEFAULT_MAX_BODY_BYTES
    }

    /// Returns true if the source accepts events of this type. An event without a type has the empty one.
    pub fn takes(&self, event_type: &str) -> bool {
        self.types.as_ref().is_none_or(|types| types.iter().any(|pattern| pattern.matches(event_type)))
    }

    /// Returns the lane of an event of this type.
    pub fn lane_of(&self, event_type: &str) -> Lane {
        self.lanes.get(event_type).copied().unwrap_or(self.lane)
    }
}

/// What a binding asks for its handler, per event. What is left out is the gateway's default; the
/// maxima are each gateway's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(utoipa::ToSchema),
    schema(
        description = "What a handler may use for each event. What is left out is the gateway's default; a gateway may allow less."
    )
)]
#[serde(deny_unknown_fields, default)]
pub struct HandlerLimits {
    /// Milliseconds that it may run for one event. Waiting for a processor does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 10000))]
    pub deadline_ms: Option<u32>,
    /// Bytes of linear memory of one instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(minimum = 131072, maximum = 1073741824))]
    pub memory_bytes: Option<u64>,
    /// Bytes that it may return for one event.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(minimum = 1024, maximum = 3145728))]
    pub output_bytes: Option<u64>,
}

/// Returns the tenant of objects that name none: `default`.
pub fn default_tenant() -> Name {
    // A literal that satisfies the rule.
    #[allow(clippy::expect_used)]
    "default".parse().expect("`default` is a name")
}

/// Returns the name that events are counted under whose source is not a valid name. No gateway writes such
/// events.
pub fn unnamed() -> Name {
    // A literal that satisfies the rule.
    #[allow(clippy::expect_used)]
    "0".parse().expect("`0` is a name")
}
