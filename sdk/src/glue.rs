//! What the attribute's code calls: between the component's types and this crate's. Not for handlers.

use std::cell::OnceCell;
use std::fmt::Display;
use std::panic::{self, PanicHookInfo};

use serde::de::DeserializeOwned;

use crate::event::Request;
use crate::log::Level;
use crate::{Change, Child, Event, Lane, Outcome, Response};

/// Made by `wit-bindgen`; its export code needs `unsafe`.
#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "checked-handler",
        pub_export_macro: true,
        export_macro_name: "export",
        default_bindings_module: "::floodgate_sdk::glue::bindings",
    });
}

use bindings::floodgate::handler::{
    counters as wit_counters, keys as wit_keys, log as wit_log, panic as wit_panic, request as wit_request,
    types as wit,
};

pub use bindings::Guest;
pub use bindings::export;
pub use wit::{Event as WitEvent, Outcome as WitOutcome};

/// Runs a handler without parameters.
pub fn run<E: Display>(
    event: WitEvent,
    handle: fn(&Event) -> Result<Outcome, E>,
) -> Result<WitOutcome, String> {
    report_panics();
    handle(&event.into()).map(WitOutcome::from).map_err(|error| error.to_string())
}

/// Checks the parameters of a handler that has none.
pub fn check(params: &str) -> Result<(), String> {
    let given: serde_json::Map<String, serde_json::Value> = read(params)?;
    match given.keys().next() {
        None => Ok(()),
        Some(name) => Err(format!("params: unknown field `{name}`: this handler has no parameters")),
    }
}

/// Checks that parameters are a `P`.
pub fn check_as<P: DeserializeOwned>(params: &str) -> Result<(), String> {
    read::<P>(params).map(drop)
}

fn read<P: DeserializeOwned>(params: &str) -> Result<P, String> {
    serde_json::from_str(params).map_err(|error| format!("params: {error}"))
}

/// Runs a handler with parameters.
pub fn run_with<P: DeserializeOwned, E: Display>(
    mut event: WitEvent,
    handle: fn(&Event, P) -> Result<Outcome, E>,
) -> Result<WitOutcome, String> {
    report_panics();
    let text = std::mem::take(&mut event.params);
    let params = read(&text)?;
    handle(&event.into(), params).map(WitOutcome::from).map_err(|error| error.to_string())
}

/// A panic ends in a trap, which says nothing.
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

/// On one line, which the standard library's own form is not.
fn describe(info: &PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("without a message");
    match info.location() {
        Some(place) => format!("panicked at {place}: {message}"),
        None => format!("panicked: {message}"),
    }
}

pub(crate) fn request() -> Request {
    let wit_request::Request { method, path, query, headers } = wit_request::get();
    Request { method, path, query, headers }
}

pub(crate) fn sign(key: &str, data: &[u8]) -> Vec<u8> {
    wit_keys::sign(key, data)
}

pub(crate) fn verify(key: &str, data: &[u8], signature: &[u8]) -> bool {
    wit_keys::verify(key, data, signature)
}

pub(crate) fn count(name: &str, amount: u64) {
    wit_counters::add(name, amount);
}

pub(crate) fn write(level: Level, message: &str) {
    let level = match level {
        Level::Trace => wit_log::Level::Trace,
        Level::Debug => wit_log::Level::Debug,
        Level::Info => wit_log::Level::Info,
        Level::Warn => wit_log::Level::Warn,
        Level::Error => wit_log::Level::Error,
    };
    wit_log::log(level, message);
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
