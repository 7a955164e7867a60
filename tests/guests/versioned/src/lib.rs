//! A handler in several versions: the one that `GUEST_VERSION` names when it is built.
//! Version 2 fails on every event; the others stamp their number on it.

use std::hash::{BuildHasher as _, RandomState};
use std::io::Read as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use floodgate_sdk::{Event, Outcome, counters, keys, log};
use serde::Deserialize;

const VERSION: &str = match option_env!("GUEST_VERSION") {
    Some(version) => version,
    None => "1",
};

/// The handler's parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    greeting: String,
}

#[floodgate_sdk::handler]
fn stamp(event: &Event, params: Params) -> Result<Outcome, String> {
    log::info(format_args!("version {VERSION} in {}: {}", event.region(), params.greeting));
    counters::add("seen", 1);
    use_the_system()?;
    assert!(VERSION != "2", "version 2 cannot do anything");
    let signature = keys::sign("partner", event.body());
    if !keys::verify("partner", event.body(), &signature) {
        return Err("its own signature does not hold".into());
    }
    let change = Outcome::change().header("x-stamp", VERSION).header("x-partner-signature", hex(&signature));
    Ok(change.header("x-repeatable", repeatable()).into())
}

/// What the standard library does with a system that is not there.
fn use_the_system() -> Result<(), String> {
    println!("nobody reads this");
    eprintln!("nor this");
    let read = std::io::stdin().read_to_end(&mut Vec::new()).map_err(|error| error.to_string())?;
    std::thread::sleep(Duration::from_secs(3600));
    match (read, std::env::vars().count(), std::env::args().count()) {
        (0, 0, 0) => Ok(()),
        other => Err(format!("there is a system: {other:?}")),
    }
}

/// What differs in each run of an ordinary program: the clock, and a random number.
fn repeatable() -> String {
    let random = RandomState::new().hash_one("event");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_micros()).unwrap_or_default();
    format!("{random:016x} at {now}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
