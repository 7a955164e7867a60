//! A handler in several versions: the one that `GUEST_VERSION` names when it is built. Version 2 fails on every event; the
//! others stamp their number on it.

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
    assert!(VERSION != "2", "version 2 cannot do anything");
    let signature = keys::sign("partner", event.body());
    if !keys::verify("partner", event.body(), &signature) {
        return Err("its own signature does not hold".into());
    }
    Ok(Outcome::change().header("x-stamp", VERSION).header("x-partner-signature", hex(&signature)).into())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
