//! A destination, as an operator describes it.

use std::num::{NonZeroU16, NonZeroU32};

use floodgate_event::schedule::RetrySchedule;
use floodgate_event::source::default_tenant;
use floodgate_event::subscription::Subscription;
use floodgate_event::{Name, Secret, standard_webhooks};
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use super::{Document, Invalid, NotYet, field};
use crate::schema;

/// A destination, as `PUT /v1/destinations/{name}` takes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Destination)]
pub struct DestinationDocument {
    /// The tenant that owns it.
    #[serde(default = "default_tenant")]
    #[schema(value_type = String, default = "default", pattern = "^[a-z0-9][a-z0-9_-]{0,63}$")]
    pub tenant: Name,
    /// Keys that sign deliveries, the current one first.
    #[serde(deserialize_with = "field::secret_list")]
    #[schema(min_items = 1, max_items = 2, write_only)]
    pub secrets: Vec<Secret>,
    /// Where deliveries are posted.
    #[serde(deserialize_with = "field::url")]
    #[schema(value_type = String, format = "uri", max_length = 2048, examples("https://shop.example/hooks"))]
    pub url: Url,
    /// Which events it gets.
    #[serde(default)]
    subscribe: Subscription,
    /// The most that one attempt may take, in seconds.
    #[serde(default = "default_timeout_seconds")]
    #[schema(default = 15, minimum = 1, maximum = 60)]
    timeout_seconds: u16,
    /// The most attempts under way at once.
    #[serde(default = "default_concurrency")]
    #[schema(value_type = u16, default = 16, minimum = 1, maximum = 256)]
    concurrency: NonZeroU16,
    /// The most attempts per second, if they are limited.
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100000)]
    rate_per_second: Option<NonZeroU32>,
    /// When failed attempts are tried again.
    #[serde(default)]
    retry: RetryDocument,
    /// Whether deliveries carry the headers of the original request.
    #[serde(default)]
    #[schema(default = false)]
    original_headers: bool,
    /// Whether it takes deliveries. False after it answered 410, until it is put again. Deliveries of a
    /// disabled destination are held, and new events are matched.
    #[serde(default = "default_enabled")]
    #[schema(default = true)]
    enabled: bool,
    /// Holds deliveries until it is put with false; new events are matched.
    #[serde(default)]
    #[schema(default = false)]
    paused: bool,
    /// This version has no breaker: only null is taken.
    #[serde(default, rename = "breaker")]
    #[schema(schema_with = schema::not_yet)]
    _breaker: NotYet,
    /// This version has no receipts: only null is taken.
    #[serde(default, rename = "receipt_sla_seconds")]
    #[schema(schema_with = schema::not_yet)]
    _receipt_sla_seconds: NotYet,
}

/// Everything of a destination that is neither secret nor ownership.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Where deliveries are posted.
    pub url: Url,
    /// Which events it gets.
    pub subscribe: Subscription,
    /// The most that one attempt may take, in seconds.
    pub timeout_seconds: u16,
    /// The most attempts under way at once.
    pub concurrency: NonZeroU16,
    /// The most attempts per second, if they are limited.
    pub rate_per_second: Option<NonZeroU32>,
    /// When failed attempts are tried again.
    pub retry: RetryDocument,
    /// Whether deliveries carry the headers of the original request.
    pub original_headers: bool,
    /// Whether it takes deliveries. If not, they are held.
    pub enabled: bool,
    /// Whether the operator holds its deliveries.
    #[serde(default)]
    pub paused: bool,
}

/// `retry` of a destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Retry)]
pub struct RetryDocument {
    /// The waits between attempts, in seconds. After the last one's attempt the delivery is dead.
    #[serde(default)]
    #[schema(value_type = Vec<schema::Wait>, max_items = 32)]
    pub schedule_seconds: RetrySchedule,
}

const fn default_timeout_seconds() -> u16 {
    15
}

const fn default_concurrency() -> NonZeroU16 {
    // 1 and 15.
    NonZeroU16::MIN.saturating_add(15)
}

const fn default_enabled() -> bool {
    true
}

impl DestinationDocument {
    /// The most secrets: the current one, and during a rotation the other.
    pub const MAX_SECRETS: usize = 2;
    /// The longest timeout of an attempt, in seconds.
    pub const MAX_TIMEOUT_SECONDS: u64 = 60;
    /// The most attempts under way at once.
    pub const MAX_CONCURRENCY: u64 = 256;
    /// The most attempts per second that can be asked for.
    pub const MAX_RATE_PER_SECOND: u64 = 100_000;
    /// The longest URL, in bytes.
    pub const MAX_URL_BYTES: usize = 2_048;

    /// What is stored of it beside its secrets and its tenant.
    pub fn delivery(&self) -> Delivery {
        Delivery {
            url: self.url.clone(),
            subscribe: self.subscribe.clone(),
            timeout_seconds: self.timeout_seconds,
            concurrency: self.concurrency,
            rate_per_second: self.rate_per_second,
            retry: self.retry.clone(),
            original_headers: self.original_headers,
            enabled: self.enabled,
            paused: self.paused,
        }
    }

    fn check_url(&self) -> Result<(), Invalid> {
        let wrong = |message: &str| Err(Invalid::new("url", message));
        field::at_most("url", "bytes", self.url.as_str().len(), Self::MAX_URL_BYTES)?;
        if !matches!(self.url.scheme(), "http" | "https") || !self.url.has_host() {
            return wrong("expected an `http` or `https` URL with a host");
        }
        // A URL is shown and logged, so that nothing secret may stand in it.
        if !self.url.username().is_empty() || self.url.password().is_some() {
            return wrong("user and password do not belong in a URL: deliveries are signed");
        }
        if self.url.fragment().is_some() { wrong("a fragment is never sent: leave it out") } else { Ok(()) }
    }

    fn check_limits(&self) -> Result<(), Invalid> {
        field::within("timeout_seconds", self.timeout_seconds.into(), 1..=Self::MAX_TIMEOUT_SECONDS)?;
        field::within("concurrency", u16::from(self.concurrency).into(), 1..=Self::MAX_CONCURRENCY)?;
        match self.rate_per_second {
            Some(rate) => {
                field::within("rate_per_second", u32::from(rate).into(), 1..=Self::MAX_RATE_PER_SECOND)
            }
            None => Ok(()),
        }
    }
}

impl Document for DestinationDocument {
    fn check(&self) -> Result<(), Invalid> {
        field::secrets("secrets", &self.secrets, Self::MAX_SECRETS, |secret| {
            standard_webhooks::Key::parse(secret).map(drop).map_err(|error| error.to_string())
        })?;
        self.check_url()?;
        self.check_limits()?;
        field::at_most("subscribe.types", "patterns", self.subscribe.types.len(), Subscription::MAX_ENTRIES)?;
        field::at_most("subscribe.sources", "names", self.subscribe.sources.len(), Subscription::MAX_ENTRIES)
    }
}
