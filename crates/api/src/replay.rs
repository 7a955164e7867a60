//! Replays: quarantined events once more through their handlers.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use floodgate_event::{EventId, Name};
use serde::de::{Deserializer, Error as _};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::document::{Document, Invalid};
use crate::event::QuarantinedStatus;

/// A replay, as `POST /v1/replays` takes it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReplayOrder)]
pub struct ReplayDocument {
    /// Which events are replayed.
    pub filter: Filter,
    /// The version of a handler to run instead of the version that the source binds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub handler: Option<Pinned>,
    /// The most events per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 10000, default = 100, nullable = false)]
    pub rate_per_second: Option<NonZeroU32>,
    /// Whether the answer only says what would be replayed.
    #[serde(default)]
    #[schema(default = false)]
    pub dry_run: bool,
}

/// Which quarantined events a replay takes.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReplayFilter)]
pub struct Filter {
    /// Must be `quarantined`: events of no other status can be replayed yet.
    pub status: QuarantinedStatus,
    /// Only events of this source.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub source: Option<Name>,
    /// Only events that this handler failed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub handler: Option<Name>,
    /// Only these events, by id.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "event_ids",
        serialize_with = "id_texts"
    )]
    #[schema(value_type = Option<Vec<EventId>>, min_items = 1, max_items = 1000, nullable = false)]
    pub ids: Option<Vec<EventId>>,
}

/// A version of a handler.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PinnedHandler)]
pub struct Pinned {
    /// The name of the handler.
    pub name: Name,
    /// The version to run.
    #[schema(value_type = u32, minimum = 1)]
    pub version: NonZeroU32,
}

impl ReplayDocument {
    /// The most events that a filter may name.
    pub const MAX_IDS: usize = 1_000;
    /// Events per second, where the caller does not say: little beside what a gateway takes in.
    pub const DEFAULT_RATE: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);
    /// The most events per second.
    pub const MAX_RATE: u32 = 10_000;
}

impl Document for ReplayDocument {
    fn check(&self) -> Result<(), Invalid> {
        let ids = self.filter.ids.as_ref().map_or(1, Vec::len);
        if !(1..=Self::MAX_IDS).contains(&ids) {
            let message = format!("{ids} ids: expected 1 to {}, or none of the field", Self::MAX_IDS);
            return Err(Invalid::new("filter.ids", message));
        }
        check_rate(self.rate_per_second)
    }
}

/// Refuses a rate that is over the most.
pub(crate) fn check_rate(rate: Option<NonZeroU32>) -> Result<(), Invalid> {
    match rate {
        Some(rate) if rate.get() > ReplayDocument::MAX_RATE => {
            let message = format!("{rate} is out of range: expected 1 to {}", ReplayDocument::MAX_RATE);
            Err(Invalid::new("rate_per_second", message))
        }
        _ => Ok(()),
    }
}

fn event_ids<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<EventId>>, D::Error> {
    let texts = Option::<Vec<String>>::deserialize(from)?;
    let parse = |text: String| text.parse().map_err(|error| D::Error::custom(format!("`{text}`: {error}")));
    texts.map(|texts| texts.into_iter().map(parse).collect()).transpose()
}

fn id_texts<S: Serializer>(ids: &Option<Vec<EventId>>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(ids.iter().flatten().map(EventId::to_string))
}

/// What a replay would take.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ReplayPreview)]
pub struct Preview {
    /// True: nothing is replayed.
    pub dry_run: bool,
    /// How many events would be replayed.
    pub matched: u64,
    /// Those of `filter.ids` that would not be, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_taken: Vec<EventError>,
}

/// A replay, and how far it is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Replay)]
pub struct Progress {
    /// The id of the replay.
    pub id: String,
    /// What became of it so far.
    pub state: State,
    /// How many events it covers: those that were quarantined when it started, and those that the filter
    /// names although they are not quarantined.
    pub matched: u64,
    /// Events that were handled again and are on a region's disk.
    pub replayed: u64,
    /// Events that are quarantined still.
    pub failed: u64,
    /// Replayed ones by what handlers made of them: pass, change, drop, split, respond.
    pub outcomes: BTreeMap<String, u64>,
    /// The first 10 failures.
    pub errors: Vec<EventError>,
    /// Why it could not continue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<String>,
    /// When the replay started.
    #[schema(format = DateTime)]
    pub started_at: String,
}

/// What became of a replay so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ReplayState)]
pub enum State {
    /// It is under way.
    #[default]
    Running,
    /// Each event was tried.
    Done,
    /// Somebody stopped it, or the relay stopped.
    Cancelled,
    /// The replay cannot continue.
    Failed,
}

/// An event that was not replayed, and why.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct EventError {
    /// The id of the event.
    pub id: String,
    /// Why it was not replayed.
    pub error: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::read_json;

    fn refusal(document: &str) -> String {
        match read_json::<ReplayDocument>(document.as_bytes()) {
            Ok(_) => "taken".to_owned(),
            Err(invalid) => invalid.to_string(),
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let id = EventId::from([1; 16]);
        for (document, said) in [
            (r#"{"filter": {}}"#.to_owned(), "`filter`: missing field `status`"),
            (r#"{"filter": {"status": "dead"}}"#.to_owned(), "`filter.status`: unknown value `dead`"),
            (
                r#"{"filter": {"status": "quarantined", "type": "x"}}"#.to_owned(),
                "`filter.type`: unknown field",
            ),
            (r#"{"filter": {"status": "quarantined", "ids": []}}"#.to_owned(), "`filter.ids`: 0 ids"),
            (
                r#"{"filter": {"status": "quarantined", "ids": ["evt_1"]}}"#.to_owned(),
                "`filter.ids`: `evt_1`: not an",
            ),
            (
                r#"{"filter": {"status": "quarantined"}, "rate_per_second": 10001}"#.to_owned(),
                "`rate_per_second`: 10001",
            ),
            (format!(r#"{{"filter": {{"status": "quarantined", "ids": ["{id}"]}}}}"#), "taken"),
        ] {
            let refused = refusal(&document);
            assert!(refused.starts_with(said), "{document}: {refused}");
        }
    }
}
