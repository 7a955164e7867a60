//! What the API shows of the configuration: everything but secrets, of which it shows the ids.

mod handler;

pub use handler::{
    Bound, Change, Concluded, Conclusion, Counters, HandlerView, Level, LogLine, Promoted, RegionVersions,
    RolloutView, ShownHandler, Trial, Uploaded, VersionView,
};

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32};

use floodgate_event::scheme::Settings;
use floodgate_event::source::{AcceptedStatus, Dedup, Locator, OnVerifyFailure, RateLimit, RawPolicy};
use floodgate_event::subscription::Subscription;
use floodgate_event::type_pattern::TypePattern;
use floodgate_event::{Lane, Name};
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use crate::document::{HandlerDocument, RetryDocument};

/// A source, in the form of its document.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SourceView {
    /// The name of the object.
    pub name: Name,
    /// The tenant that owns it.
    #[schema(required = false)]
    pub tenant: Name,
    /// How requests prove where they come from.
    pub verify: VerifyView,
    /// The chain of handlers, in order.
    #[schema(max_items = 16, required = false)]
    pub handlers: Vec<HandlerDocument>,
    /// Keys that handlers may use where their binding grants it, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, SecretView>, read_only)]
    pub keys: BTreeMap<Name, SecretView>,
    /// Where the provider's id is; the scheme's preset if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<Locator>,
    /// Where the event's type is; the scheme's preset if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<Locator>,
    /// What makes two requests the same event.
    #[schema(required = false)]
    pub dedup: Dedup,
    /// The event types that are taken, exact or ending in `*`, as they are received; null for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1, max_items = 256)]
    pub types: Option<Vec<TypePattern>>,
    /// Whether the signed bytes stay with the event.
    #[schema(required = false)]
    pub raw: RawPolicy,
    /// Whether a request whose signature fails is held, to be verified again.
    #[serde(default)]
    #[schema(required = false)]
    pub on_verify_failure: OnVerifyFailure,
    /// What events are ordered by, if by anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_by: Option<Locator>,
    /// The lane, where `lanes` does not name the type.
    #[schema(required = false)]
    pub lane: Lane,
    /// Lanes by exact event type, at most 1,000.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lanes: BTreeMap<String, Lane>,
    /// The status of the answer to an accepted event: 200, 202 or 204.
    #[schema(required = false)]
    pub status: AcceptedStatus,
    /// The largest body, in bytes, as sent and decompressed.
    #[schema(minimum = 1, maximum = 3145728, required = false)]
    pub max_body_bytes: u32,
    /// How fast the source may send, in each gateway process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// Requests are refused with 503 once the region's configuration is older than this, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 120, maximum = 2592000)]
    pub max_config_age_seconds: Option<u64>,
}

/// How requests of a source prove where they come from.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct VerifyView {
    /// The provider's way of signing.
    #[schema(value_type = String)]
    pub scheme: Name,
    /// Keys, any of which may have signed.
    #[schema(read_only)]
    pub secrets: Vec<SecretView>,
    /// How old a signed time may be, in seconds.
    #[schema(minimum = 1, maximum = 86400)]
    pub tolerance_seconds: Option<u64>,
    /// What else the scheme needs to know.
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    #[schema(required = false)]
    pub settings: Settings,
}

/// A secret, of which only the id is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecretView {
    /// Random; says nothing of the secret. Stays the same as long as the secret does.
    pub id: String,
}

/// A destination, in the form of its document.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DestinationView {
    /// The name of the object.
    pub name: Name,
    /// The tenant that owns it.
    #[schema(required = false)]
    pub tenant: Name,
    /// Keys that sign deliveries, the current one first.
    #[schema(read_only, required = false)]
    pub secrets: Vec<SecretView>,
    /// Where deliveries are posted.
    #[schema(value_type = String, format = "uri", max_length = 2048)]
    pub url: Url,
    /// Which events it gets.
    #[schema(required = false)]
    pub subscribe: Subscription,
    /// The most that one attempt may take, in seconds.
    #[schema(minimum = 1, maximum = 60, required = false)]
    pub timeout_seconds: u16,
    /// The most attempts under way at once.
    #[schema(value_type = u16, minimum = 1, maximum = 256, required = false)]
    pub concurrency: NonZeroU16,
    /// The most attempts per second, if they are limited.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100000)]
    pub rate_per_second: Option<NonZeroU32>,
    /// When failed attempts are tried again.
    #[schema(required = false)]
    pub retry: RetryDocument,
    /// Whether deliveries carry the headers of the original request.
    #[schema(required = false)]
    pub original_headers: bool,
    /// Whether it takes deliveries. False after it answered 410, until it is put again. Its deliveries are
    /// held.
    #[schema(required = false)]
    pub enabled: bool,
    /// Whether the operator holds its deliveries.
    #[serde(default)]
    pub paused: bool,
    /// When it answered 410, if that is why it is disabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, nullable = false)]
    pub answered_410_at: Option<String>,
}

/// A destination, what waits for it, and what it does not get at present.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ShownDestination {
    /// The destination as it is configured.
    #[serde(flatten)]
    pub view: DestinationView,
    /// Why its deliveries wait, if they do: its secrets cannot be opened with the centre's key.
    #[serde(default)]
    #[schema(read_only)]
    pub held: Option<String>,
    /// Its open and dead deliveries. Not in the answer to a `PUT`.
    #[serde(default)]
    pub deliveries: Waiting,
}

/// A destination's open and dead deliveries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Waiting {
    /// Open deliveries, those that are held too.
    pub pending: u64,
    /// Given up after the last attempt, or after an answer of 410.
    pub dead: u64,
}
