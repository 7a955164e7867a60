//! What an operator says of a source. Part of the admin API's documents and of the snapshots made from them.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::type_pattern::TypePattern;
use crate::{Lane, Name};

/// How requests of a source prove where they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// `X-Hub-Signature-256`, HMAC-SHA256 over the body.
    Github,
    /// `Stripe-Signature`, HMAC-SHA256 over timestamp and body.
    Stripe,
    /// [Standard Webhooks](crate::standard_webhooks) v1.
    Standard,
}

impl Scheme {
    /// The name used in configuration and envelopes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Stripe => "stripe",
            Self::Standard => "standard",
        }
    }

    /// How old (and, for Standard Webhooks, how far ahead) a signed time may be;
    /// none for schemes without one.
    pub const fn default_tolerance_seconds(self) -> Option<u64> {
        match self {
            Self::Github => None,
            Self::Stripe | Self::Standard => Some(300),
        }
    }

    /// Where the provider puts its event's id.
    pub fn default_event_id(self) -> Locator {
        match self {
            Self::Github => Locator::header("x-github-delivery"),
            Self::Stripe => Locator::json("/id"),
            Self::Standard => Locator::header(crate::standard_webhooks::ID_HEADER),
        }
    }

    /// Where the provider puts its event's type.
    pub fn default_event_type(self) -> Locator {
        match self {
            Self::Github => Locator::header("x-github-event"),
            Self::Stripe | Self::Standard => Locator::json("/type"),
        }
    }

    /// Whether the signature covers what stands there. What it does not cover, anyone with one captured
    /// request can change, so it must not decide what is a duplicate.
    pub fn covers(self, locator: &Locator) -> bool {
        match locator {
            Locator::Json(_) => true,
            Locator::Header(name) => self == Self::Standard && name == crate::standard_webhooks::ID_HEADER,
        }
    }

    /// Headers that carry a secret in clear and are never stored. None of these three schemes has one.
    pub const fn secret_headers(self) -> &'static [&'static str] {
        match self {
            Self::Github | Self::Stripe | Self::Standard => &[],
        }
    }
}

/// Where a value stands in a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawLocator", into = "RawLocator")]
pub enum Locator {
    /// A JSON pointer ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)) into the body;
    /// strings and numbers count.
    Json(String),
    /// A header, by its lower-case name.
    Header(String),
}

impl Locator {
    /// The longest pointer or name, in bytes.
    pub const MAX_BYTES: usize = 256;

    /// Bytes of the pointer or name.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Json(text) | Self::Header(text) => text.len(),
        }
    }

    fn json(pointer: &str) -> Self {
        Self::Json(pointer.to_owned())
    }

    fn header(name: &str) -> Self {
        Self::Header(name.to_owned())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawLocator {
    Json(String),
    Header(String),
}

impl TryFrom<RawLocator> for Locator {
    type Error = InvalidLocator;

    fn try_from(raw: RawLocator) -> Result<Self, InvalidLocator> {
        match raw {
            RawLocator::Json(pointer) if pointer.is_empty() || pointer.starts_with('/') => {
                Ok(Self::Json(pointer))
            }
            RawLocator::Json(pointer) => Err(InvalidLocator::Pointer(pointer)),
            RawLocator::Header(name) => match http::HeaderName::from_bytes(name.as_bytes()) {
                Ok(name) => Ok(Self::Header(name.as_str().to_owned())),
                Err(_) => Err(InvalidLocator::Header(name)),
            },
        }
    }
}

impl From<Locator> for RawLocator {
    fn from(locator: Locator) -> Self {
        match locator {
            Locator::Json(pointer) => Self::Json(pointer),
            Locator::Header(name) => Self::Header(name),
        }
    }
}

/// Not a place in a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLocator {
    /// Not an RFC 6901 pointer.
    #[error("`{0}` is not a JSON pointer: expected it to begin with `/`")]
    Pointer(String),
    /// Not a header name.
    #[error("`{0}` is not a header name")]
    Header(String),
}

/// What makes two requests the same event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dedup {
    /// The provider's id where the signature covers it, else as [`Dedup::Body`].
    #[default]
    Id,
    /// The raw body, and the event type where the signature does not cover it.
    Body,
    /// The provider's id even where the signature does not cover it, for those who trust that nobody but the
    /// provider has a signed request: whoever has one can send it under any number of ids. Else the raw body.
    Delivery,
    /// Nothing: each request is an event of its own.
    None,
}

/// Whether the signed bytes stay with the event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RawPolicy {
    /// They do, so that a consumer can check the provider's own signature.
    #[default]
    Keep,
    /// They do not; what redacting handlers need.
    Drop,
}

/// What happens to an event when a handler fails on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFault {
    /// It is stored with the fault and not delivered; the sender gets its 2xx.
    #[default]
    Quarantine,
    /// It is refused with a 5xx, so that the sender tries again.
    Reject,
    /// It goes on as if the handler were not there: not for handlers that redact.
    Pass,
}

/// How fast a source may send, as a token bucket in each gateway process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Requests per second.
    pub per_second: NonZeroU32,
    /// Requests that may come at once.
    pub burst: NonZeroU32,
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
    /// Where the provider's id stands; the scheme's preset if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<Locator>,
    /// Where the event's type stands; the scheme's preset if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<Locator>,
    /// What makes two requests the same event.
    #[serde(default)]
    pub dedup: Dedup,
    /// The event types that are taken, as they are received; none for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<Vec<TypePattern>>,
    /// Whether the signed bytes stay with the event.
    #[serde(default)]
    pub raw: RawPolicy,
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

    /// Whether the source takes events of this type; the empty one is that of events without a type.
    pub fn takes(&self, event_type: &str) -> bool {
        self.types.as_ref().is_none_or(|types| types.iter().any(|pattern| pattern.matches(event_type)))
    }

    /// The lane of an event of this type.
    pub fn lane_of(&self, event_type: &str) -> Lane {
        self.lanes.get(event_type).copied().unwrap_or(self.lane)
    }
}

/// What a binding asks for its handler, per event. What is left out is the gateway's default; the
/// maxima are each gateway's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HandlerLimits {
    /// Milliseconds that it may run, without waiting for a processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u32>,
    /// Bytes of linear memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Bytes that it may return.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_bytes: Option<u64>,
}

/// The tenant of objects that name none.
pub fn default_tenant() -> Name {
    // A literal that satisfies the rule.
    #[allow(clippy::expect_used)]
    "default".parse().expect("`default` is a name")
}

/// What events are counted under whose source is not a name; no gateway writes any.
pub fn unnamed() -> Name {
    // A literal that satisfies the rule.
    #[allow(clippy::expect_used)]
    "0".parse().expect("`0` is a name")
}
