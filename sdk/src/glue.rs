//! What the attribute's code calls: it converts between the component's generated types and this crate's.
//! Public for that code alone, and not for handlers.

use std::cell::OnceCell;
use std::fmt::Display;
use std::panic::{self, PanicHookInfo};

use serde::de::DeserializeOwned;

use crate::bindings::floodgate::handler::{panic as wit_panic, types as wit};
use crate::event::Event;
use crate::lane::Lane;
use crate::outcome::{Change, Child, Outcome, Response};

pub use crate::bindings::{Guest, export};
pub use wit::{Event as WitEvent, Outcome as WitOutcome};

/// Runs a handler that takes no parameters. Its error becomes the message of the fault.
pub fn run<E: Display>(
    event: WitEvent,
    handle: fn(&Event) -> Result<Outcome, E>,
) -> Result<WitOutcome, String> {
    report_panics();
    handle(&event.into()).map(WitOutcome::from).map_err(|error| error.to_string())
}

/// Checks the parameters of a handler that takes none: only the empty object is accepted.
pub fn check(params: &str) -> Result<(), String> {
    let given: serde_json::Map<String, serde_json::Value> = read(params)?;
    match given.keys().next() {
        None => Ok(()),
        Some(name) => Err(format!("params: unknown field `{name}`: this handler has no parameters")),
    }
}

/// Checks that the text of a JSON object has the form of a `P`.
pub fn check_as<P: DeserializeOwned>(params: &str) -> Result<(), String> {
    read::<P>(params).map(drop)
}

fn read<P: DeserializeOwned>(params: &str) -> Result<P, String> {
    serde_json::from_str(params).map_err(|error| format!("params: {error}"))
}

/// Runs a handler that takes parameters. Parameters that are not a `P` are a fault too.
pub fn run_with<P: DeserializeOwned, E: Display>(
    mut event: WitEvent,
    handle: fn(&Event, P) -> Result<Outcome, E>,
) -> Result<WitOutcome, String> {
    report_panics();
    let text = std::mem::take(&mut event.params);
    let params = read(&text)?;
    handle(&event.into(), params).map(WitOutcome::from).map_err(|error| error.to_string())
}

/// A panic ends in a trap, which carries no message. The host gets the message before.
fn report_panics() {
    panic::set_hook(Box::new(|info| say(&describe(info))));
}

fn say(reason: &str) {
    for bytes in reason.as_bytes().chunks(64) {
        let mut padded = [0; 64];
        padded[..bytes.len()].copy_from_slice(bytes);
        let (words, _) = padded.as_chunks();
        let word = |place: usize| u64::from_le_bytes(words[place]);
        wit_panic::say(word(0), word(1), word(2), word(3), word(4), word(5), word(6), word(7));
    }
}

/// The panic on one line; the standard library's own text has two.
fn describe(info: &PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("without a message");
    match info.location() {
        Some(place) => format!("panicked at {place}: {message}"),
        None => format!("panicked: {message}"),
    }
}

impl From<wit::Event> for Event {
    fn from(event: wit::Event) -> Self {
        Self {
            id: event.id,
            tenant: event.tenant,
            source: event.source,
            event_type: event.type_,
            provider_id: event.provider_id,
            region: event.region,
            lane: event.lane.into(),
            request: OnceCell::new(),
            body: event.body,
            received_at_us: event.received_at,
        }
    }
}

impl From<Outcome> for wit::Outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Pass => Self::Pass,
            Outcome::Drop(reason) => Self::Drop(reason),
            Outcome::Change(change) => Self::Change(change.into()),
            Outcome::Split(children) => Self::Split(children.into_iter().map(wit::Child::from).collect()),
            Outcome::Respond(response) => Self::Respond(response.into()),
        }
    }
}

impl From<Change> for wit::Change {
    fn from(change: Change) -> Self {
        Self {
            body: change.body,
            type_: change.event_type,
            lane: change.lane.map(wit::Lane::from),
            headers: change.headers,
        }
    }
}

impl From<Child> for wit::Child {
    fn from(child: Child) -> Self {
        Self { type_: child.event_type, body: child.body }
    }
}

impl From<Response> for wit::Response {
    fn from(response: Response) -> Self {
        let Response { status, headers, body, deliver } = response;
        Self { status, headers, body, deliver }
    }
}

impl From<wit::Lane> for Lane {
    fn from(lane: wit::Lane) -> Self {
        match lane {
            wit::Lane::Critical => Self::Critical,
            wit::Lane::Standard => Self::Standard,
            wit::Lane::Bulk => Self::Bulk,
        }
    }
}

impl From<Lane> for wit::Lane {
    fn from(lane: Lane) -> Self {
        match lane {
            Lane::Critical => Self::Critical,
            Lane::Standard => Self::Standard,
            Lane::Bulk => Self::Bulk,
        }
    }
}
