//! Fails on some events. Built with `PICKY_CURED` set it is the next version, which does not.

use floodgate_sdk::{Child, Event, Outcome};
use serde::Deserialize;

const CURED: bool = option_env!("PICKY_CURED").is_some();

/// The handler's parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    mode: Mode,
}

/// What it does.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    /// Panics on a body with poison in it, or cures it.
    Check,
    /// Makes an event of each line.
    Split,
}

#[floodgate_sdk::handler]
fn pick(event: &Event, params: Params) -> Result<Outcome, std::str::Utf8Error> {
    let body = std::str::from_utf8(event.body())?;
    Ok(match params.mode {
        Mode::Split => Outcome::split(body.lines().map(Child::new)),
        Mode::Check if !body.contains("poison") => Outcome::pass(),
        Mode::Check if CURED => Outcome::change().body(body.replace("poison", "medicine")).into(),
        Mode::Check => panic!("there is poison in it"),
    })
}
