//! `floodgate replay`.

mod progress;
mod wait;

use std::num::NonZeroU32;
use std::str::FromStr;

use floodgate_api::replay::{Filter, Pinned, Preview, ReplayDocument};
use floodgate_event::{EventId, Name};

pub(crate) use self::wait::{Replay, verdict, wait};
use crate::api::{ApiArgs, Client, ClientError};
use crate::events::Status;
use crate::exit::Failure;
use crate::output;

/// What to replay, and how.
#[derive(clap::Args)]
pub(crate) struct ReplayArgs {
    /// Only events of this status
    #[arg(long)]
    status: Status,
    /// Only events of this source
    #[arg(long, value_name = "SOURCE")]
    source: Option<Name>,
    /// Only events that this handler failed on; with @VERSION, run that version, whatever sources bind
    #[arg(long, value_name = "HANDLER[@VERSION]")]
    handler: Option<Handler>,
    /// Only this event, by its own id or its provider's; may be given more than once
    #[arg(long, value_name = "EVENT")]
    id: Vec<String>,
    /// Events per second [default: 100]
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
    /// Only say how many events would be replayed
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    api: ApiArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A handler with or without a version: `redact` or `redact@4`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Handler {
    name: Name,
    version: Option<NonZeroU32>,
}

impl FromStr for Handler {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        let name = name.parse().map_err(|error: floodgate_event::name::InvalidName| error.to_string())?;
        let version =
            version.map(|version| version.parse().map_err(|_| format!("`{version}` is no version")));
        Ok(Self { name, version: version.transpose()? })
    }
}

pub(crate) async fn run(args: ReplayArgs) -> Result<(), Failure> {
    let ReplayArgs { status, source, handler, id, rate, dry_run, api, json } = args;
    let api = api.client()?;
    let pinned = handler
        .as_ref()
        .and_then(|handler| Some(Pinned { name: handler.name.clone(), version: handler.version? }));
    let mut ids = Vec::with_capacity(id.len());
    for id in &id {
        ids.push(event_id(&api, id).await?);
    }
    let ids = (!ids.is_empty()).then_some(ids);
    let filter = Filter { status: status.into(), source, handler: handler.map(|handler| handler.name), ids };
    let order = ReplayDocument { filter, handler: pinned, rate_per_second: rate, dry_run };
    if dry_run {
        return preview(&api, &order, json).await;
    }
    let started = api.start_replay(&order).await?;
    let bar = progress::bar(&started);
    let ended = wait(&api, started, bar).await?;
    if json {
        output::print_json(&ended)?;
    } else {
        output::print(&progress::render(&ended))?;
    }
    verdict(&ended)
}

/// Returns an event's own id. For a provider's id, asks the API.
async fn event_id(api: &Client, text: &str) -> Result<EventId, ClientError> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let known = api.event(text).await?.read()?;
    known.id.parse().map_err(|error| ClientError::Answer(serde::de::Error::custom(error)))
}

async fn preview(api: &Client, order: &ReplayDocument, json: bool) -> Result<(), Failure> {
    let preview = api.preview_replay(order).await?;
    let Preview { matched, not_taken, .. } = &preview;
    if json {
        output::print_json(&preview)?;
    } else {
        output::print(&format!("{matched} events would be replayed\n{}", progress::table(not_taken)))?;
    }
    match not_taken.len() {
        0 => Ok(()),
        count => Err(Failure::work(format!("{count} of the events that were named would not be replayed"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_may_name_its_version() {
        let parsed =
            |text: &str| text.parse::<Handler>().map(|h| (h.name.to_string(), h.version.map(u32::from)));
        assert_eq!(parsed("redact"), Ok(("redact".to_owned(), None)));
        assert_eq!(parsed("redact@4"), Ok(("redact".to_owned(), Some(4))));
        for bad in ["redact@", "redact@0", "redact@x", "@4", ""] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_what_was_said_is_asked() {
        let filter = Filter { status: Status::Quarantined.into(), source: None, handler: None, ids: None };
        let order = ReplayDocument { filter, handler: None, rate_per_second: None, dry_run: false };
        let asked = serde_json::to_value(&order).unwrap();
        assert_eq!(asked, serde_json::json!({"filter": {"status": "quarantined"}, "dry_run": false}));
    }
}
