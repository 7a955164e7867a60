//! Measures what an event costs, fixture by fixture.

mod sample;

use std::time::Instant;

use floodgate_sandbox::Handler;
use serde::Serialize;

use self::sample::Sample;
use crate::error::Error;
use crate::fixture::{Fixture, PreparedEvent};
use crate::outcome::OutcomeJson;

pub use self::sample::Summary;

/// There is one warm-up run for this many measured runs:
/// caches and the pool's slot are then as under load.
const WARM_UP_SHARE: u32 = 10;
/// Runs between two reports of progress.
const STEP: u32 = 64;

/// What one fixture costs. Times are of one event on a fresh instance, that instance's start and end
/// included.
#[derive(Debug, Serialize)]
pub struct Measurement {
    /// The name of the fixture: its file name without `.json`.
    pub name: String,
    /// How many runs were measured.
    pub events: u32,
    /// The median and the 99th percentile of the times.
    #[serde(flatten)]
    pub summary: Summary,
    /// Linear memory at the end of a run, in bytes; it never shrinks.
    pub memory_bytes: usize,
}

/// A report of progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// The measurement of the fixture of this name begins.
    Fixture(&'a str),
    /// This many more events were run; warm-up runs are not counted.
    Events(u32),
}

/// Runs a fixture's event `events` times and sums up how long that took. A tenth more goes before as warm-up.
///
/// # Errors
/// If the outcome is not the one that the fixture expects: the time would be that of something else.
pub async fn measure(
    name: String,
    fixture: &Fixture,
    handler: &Handler,
    events: u32,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Measurement, Error> {
    let event = fixture.prepare()?;
    let first = event.run(handler).await;
    if OutcomeJson::from(&first.result) != fixture.expect {
        return Err(Error::Unexpected(name));
    }
    progress(Progress::Fixture(&name));
    let summary = sample(&event, handler, events, progress).await.summary();
    Ok(Measurement { name, events, summary, memory_bytes: first.memory_bytes })
}

async fn sample(
    event: &PreparedEvent<'_>,
    handler: &Handler,
    events: u32,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Sample {
    for _ in 0..events / WARM_UP_SHARE {
        event.run(handler).await;
    }
    let mut sample = Sample::with_capacity(events);
    for number in 1..=events {
        let start = Instant::now();
        let run = event.run(handler).await;
        sample.add(start.elapsed());
        drop(run);
        if number % STEP == 0 {
            progress(Progress::Events(STEP));
        }
    }
    progress(Progress::Events(events % STEP));
    sample
}
