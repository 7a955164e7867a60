//! How the OpenAPI document describes what documents and answers take from the vocabulary: each type here
//! stands for the one of the same name in `floodgate-event`, whose JSON it describes.

#![expect(dead_code, reason = "only their descriptions are used")]

use std::collections::BTreeSet;

use serde::Deserialize;
use utoipa::openapi::{ObjectBuilder, Schema, Type};
use utoipa::{ToResponse, ToSchema};

/// A name: 1 to 64 lower-case letters, digits, `_` and `-`, the first a letter or a digit.
#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize, ToSchema)]
#[schema(pattern = "^[a-z0-9][a-z0-9_-]{0,63}$", examples("github"))]
pub struct Name(String);

/// Counts the changes of the whole configuration, from 1.
#[derive(Deserialize, ToSchema)]
#[schema(minimum = 1)]
pub struct Revision(u64);

/// How urgent an event is.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// The most urgent events.
    Critical,
    /// All others.
    Standard,
    /// Events that may wait.
    Bulk,
}

/// A key. Without white space at its ends, and without line ends, a NUL, a byte order mark or the like
/// anywhere. It is never shown.
#[derive(Deserialize, ToSchema)]
#[schema(min_length = 1, max_length = 1024, pattern = r"^\S(.*\S)?$")]
pub struct Secret(String);

/// How requests of a source prove where they come from. `github`: `X-Hub-Signature-256`. `stripe`:
/// `Stripe-Signature`. `standard`: Standard Webhooks v1.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// `X-Hub-Signature-256`, HMAC-SHA256 over the body.
    Github,
    /// `Stripe-Signature`, HMAC-SHA256 over timestamp and body.
    Stripe,
    /// Standard Webhooks v1.
    Standard,
}

/// Where a value is in a request: a JSON pointer into the body, or a header.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Locator {
    /// A JSON pointer (RFC 6901) into the body; strings and numbers count.
    Json(LocatorText),
    /// The name of a header.
    Header(LocatorText),
}

/// A JSON pointer, or the name of a header.
#[derive(Deserialize, ToSchema)]
#[schema(max_length = 256)]
pub struct LocatorText(String);

/// What makes two requests the same event. `id`: the provider's id where the signature covers it, else as
/// `body`. `body`: the raw body, and the event type where the signature does not cover it. `delivery`: the
/// provider's id even where the signature does not cover it. `none`: each request is an event of its own.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dedup {
    /// The provider's id where the signature covers it, else as `body`.
    Id,
    /// The raw body, and the event type where the signature does not cover it.
    Body,
    /// The provider's id even where the signature does not cover it.
    Delivery,
    /// Nothing: each request is an event of its own.
    None,
}

/// An event type, or the beginning of one and `*`.
#[derive(Deserialize, ToSchema)]
#[schema(min_length = 1, max_length = 256, examples("invoice.*"))]
pub struct TypePattern(String);

/// Whether the signed bytes stay with the event, so that a consumer can verify the provider's own signature.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RawPolicy {
    /// They stay.
    Keep,
    /// They do not, for handlers that redact.
    Drop,
}

/// How fast a source may send, in each gateway process.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Requests per second.
    #[schema(minimum = 1)]
    pub per_second: u32,
    /// Requests that may come at once.
    #[schema(minimum = 1)]
    pub burst: u32,
}

/// What happens to an event when a handler fails on it. `quarantine`: it is stored with the fault and not
/// delivered, and the sender gets its 2xx. `reject`: the sender gets a 5xx, and tries again. `pass`: it
/// continues as if the handler were not there.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFault {
    /// It is stored with the fault and not delivered; the sender gets its 2xx.
    Quarantine,
    /// It is refused with a 5xx, so that the sender tries again.
    Reject,
    /// It continues as if the handler were not there.
    Pass,
}

/// What a handler may ask of the host.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Grants {
    /// To write lines.
    #[schema(default = true, required = false)]
    pub log: bool,
    /// To read the time at which the event was received.
    #[schema(default = true, required = false)]
    pub clock: bool,
    /// Random numbers of the event's own.
    #[schema(default = true, required = false)]
    pub random: bool,
    /// Counters that it may move; each is a metric's label.
    #[schema(max_items = 32, required = false)]
    pub counters: BTreeSet<Name>,
    /// Keys of the source that it may sign with.
    #[schema(required = false)]
    pub sign: BTreeSet<Name>,
    /// Keys of the source that it may verify with.
    #[schema(required = false)]
    pub verify: BTreeSet<Name>,
}

/// What a handler may use for each event. What is left out is the gateway's default; a gateway may allow
/// less.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HandlerLimits {
    /// Milliseconds that it may run, without waiting for a processor.
    #[schema(minimum = 1, maximum = 10000)]
    pub deadline_ms: Option<u32>,
    /// Bytes of linear memory.
    #[schema(minimum = 131072, maximum = 1073741824)]
    pub memory_bytes: Option<u64>,
    /// Bytes that it may return.
    #[schema(minimum = 1024, maximum = 3145728)]
    pub output_bytes: Option<u64>,
}

/// Which events a destination gets. An empty list means any.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// Patterns of event types: exact, or ending in `*`.
    #[schema(max_items = 256, required = false)]
    pub types: Vec<TypePattern>,
    /// Names of sources.
    #[schema(max_items = 256, required = false)]
    pub sources: Vec<Name>,
}

/// A share of the events, in percent.
#[derive(Deserialize, ToSchema)]
#[schema(minimum = 0.01, maximum = 100)]
pub struct Share(f64);

/// Whose outcome counts where two versions run. `shadow`: the promoted version's. `canary`: the tried
/// version's.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TrialKind {
    /// The promoted version's; the tried one's is compared and thrown away.
    Shadow,
    /// The tried version's, unless it fails: then the promoted one's.
    Canary,
}

/// Counts of the events that both versions ran on.
#[derive(Deserialize, ToSchema)]
pub struct TrialTally {
    /// The events.
    pub events: u64,
    /// Those on which the tried version failed and the promoted one did not.
    pub faults: u64,
    /// Those on which both decided, and not the same.
    pub differences: u64,
    /// Microseconds that the tried version ran, in all.
    pub tried_us: u64,
    /// The same of the promoted version.
    pub promoted_us: u64,
}

/// An event on which two versions did not do the same. Holds nothing of its content.
#[derive(Deserialize, ToSchema)]
pub struct Difference {
    /// The event's id.
    pub event: String,
    /// The source that it came through.
    pub source: String,
    /// What the promoted version decided: `pass`, `drop`, … or a fault's kind.
    pub promoted: String,
    /// What the tried version decided.
    pub tried: String,
    /// The parts that differ: `outcome`, `reason`, `body`, `type`, `lane`, `headers`, `children`, `status`,
    /// `deliver`.
    pub parts: Vec<String>,
}

/// A source that a gateway does not serve as it is configured.
#[derive(Deserialize, ToSchema)]
pub struct RefusedSource {
    /// The source.
    pub source: Name,
    /// Why the gateway does not serve it.
    pub reason: String,
    /// Whether the gateway serves it as it was before. If not, its requests get 503.
    pub as_before: bool,
}

/// An RFC 9457 problem document.
#[derive(Deserialize, ToSchema, ToResponse)]
#[response(description = "An RFC 9457 problem document", content_type = "application/problem+json")]
pub struct Problem {
    /// `urn:floodgate:problem:` and a code.
    #[serde(rename = "type")]
    #[schema(examples("urn:floodgate:problem:not-found"))]
    pub kind: String,
    /// The code in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong, where, and what is allowed.
    #[schema(nullable = false)]
    pub detail: Option<String>,
}

/// An event's id.
#[derive(Deserialize, ToSchema)]
#[schema(pattern = "^evt_[0-9a-z]{26}$")]
pub struct EventId(String);

/// A wait, in seconds.
#[derive(Deserialize, ToSchema)]
#[schema(minimum = 0, maximum = 604800)]
pub struct Wait(u64);

/// A WebAssembly component.
#[derive(Deserialize, ToSchema)]
#[schema(value_type = String, format = Binary, max_length = 33554432)]
pub struct Component(String);

/// What became of a stream.
#[derive(Deserialize, ToSchema)]
pub struct Lost {
    /// `missing`: there is none of this name. `anew`: it is not the one that was noted. `went-back`: it ends before
    /// what was read from it.
    pub kind: LostKind,
    /// Its last sequence, if it went back.
    #[schema(nullable = false)]
    pub last: Option<u64>,
    /// The last sequence that is known to have been there, if it went back.
    #[schema(nullable = false)]
    pub known: Option<u64>,
}

/// How a stream lost messages.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LostKind {
    /// There is none of this name.
    Missing,
    /// It is not the one that was noted.
    Anew,
    /// It ends before what was read from it.
    WentBack,
}

/// A field of the interface that this version does not build.
pub fn not_yet() -> Schema {
    ObjectBuilder::new().schema_type(Type::Null).description(Some("Not there yet.")).build().into()
}

/// The status of the answer to an accepted event.
pub fn accepted_status() -> Schema {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .enum_values(Some([200, 202, 204]))
        .default(Some(200.into()))
        .description(Some(
            "The status of the answer to an accepted event: 200 and 202 with the event's id, 204 without a body.",
        ))
        .build()
        .into()
}
