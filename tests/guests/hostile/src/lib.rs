//! Misbehaves as its parameters say, to show that it hurts nobody; events of type `spare` it lets through.

use floodgate_sdk::{Event, Outcome};
use serde::Deserialize;

/// The handler's parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    mode: Mode,
}

/// How it misbehaves.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    /// Never ends.
    Spin,
    /// Takes memory until there is none.
    Exhaust,
    /// Panics.
    Panic,
}

#[floodgate_sdk::handler]
fn misbehave(event: &Event, params: Params) -> Result<Outcome, String> {
    // So that a breaker, which counts failures in a row, does not open.
    if event.event_type() == "spare" {
        return Ok(Outcome::pass());
    }
    match params.mode {
        Mode::Spin => spin(event.body().len() as u64),
        Mode::Exhaust => exhaust(),
        Mode::Panic => panic!("this handler panics"),
    }
    Ok(Outcome::pass())
}

fn spin(mut number: u64) {
    loop {
        number = std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005));
    }
}

fn exhaust() {
    let mut taken: Vec<Vec<u8>> = Vec::new();
    loop {
        taken.push(std::hint::black_box(vec![1; 1024 * 1024]));
    }
}
