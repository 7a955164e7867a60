//! `floodgate handler bench`.

mod sample;

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use floodgate_sandbox::Handler;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use self::sample::{Sample, Summary};
use super::build;
use super::fixture::{self, Fixture, Prepared};
use super::outcome::Expected;
use super::project::Project;
use super::trial::Trial;
use crate::exit::Failure;
use crate::output;
use crate::table::Table;

/// One run in so many more goes before those that are measured:
/// caches and the pool's slot are then as under load.
const WARM_UP_SHARE: u32 = 10;
/// Runs between two steps of the progress bar.
const STEP: u32 = 64;

/// What to measure.
#[derive(Args)]
pub(crate) struct BenchArgs {
    /// The handler's folder
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Events of each fixture, 1 to 1,000,000
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    events: u32,
    /// The folder of fixtures; `fixtures` in the handler's folder if left out
    #[arg(long, value_name = "DIR")]
    fixtures: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    component_bytes: usize,
    compile_ms: u128,
    fixtures: Vec<Measured>,
}

/// One fixture. Times are of one event on a fresh instance, that instance's start and end included.
#[derive(Serialize)]
struct Measured {
    name: String,
    events: u32,
    #[serde(flatten)]
    summary: Summary,
    /// Linear memory at the end of a run; it never shrinks.
    memory_bytes: usize,
}

pub(crate) async fn run(args: BenchArgs) -> Result<(), Failure> {
    let project = Project::open(&args.path)?;
    let folder = args.fixtures.unwrap_or_else(|| project.fixtures());
    let fixtures = fixture::read_some(&folder).map_err(Failure::usage)?;
    let built = build::build(&project)?;
    let trial = Trial::load(&built.component, &project.limits())?;
    let bar = bar(fixtures.len() as u64 * u64::from(args.events));
    let mut measured = Vec::with_capacity(fixtures.len());
    for (name, fixture) in fixtures {
        measured.push(measure(name, &fixture, &trial.handler, args.events, &bar).await?);
    }
    bar.finish_and_clear();
    let (component_bytes, compile_ms) = (built.component.len(), trial.compiled_in.as_millis());
    let report = Report { component_bytes, compile_ms, fixtures: measured };
    if args.json { output::print_json(&report) } else { output::print(&report.render()) }
}

/// The bar shows on a terminal only.
fn bar(events: u64) -> ProgressBar {
    let bar = ProgressBar::new(events);
    // A template that does not parse leaves the default style.
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} events  {msg}") {
        bar.set_style(style);
    }
    bar
}

/// Refuses a fixture whose outcome is another: its time would be that of something else.
async fn measure(
    name: String,
    fixture: &Fixture,
    handler: &Handler,
    events: u32,
    bar: &ProgressBar,
) -> Result<Measured, Failure> {
    let event = fixture.prepare().map_err(Failure::usage)?;
    let first = event.run(handler).await;
    if Expected::from(&first.result) != fixture.expect {
        return Err(Failure::work(format!("{name}: not what is expected; see `floodgate handler test`")));
    }
    bar.set_message(name.clone());
    let summary = sample(&event, handler, events, bar).await.summary();
    Ok(Measured { name, events, summary, memory_bytes: first.memory_bytes })
}

async fn sample(event: &Prepared<'_>, handler: &Handler, events: u32, bar: &ProgressBar) -> Sample {
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
            bar.inc(STEP.into());
        }
    }
    bar.inc((events % STEP).into());
    sample
}

impl Report {
    fn render(&self) -> String {
        let mut table = Table::new(["FIXTURE", "EVENTS", "MEDIAN µs", "P99 µs", "MEMORY KiB"]);
        for Measured { name, events, summary, memory_bytes } in &self.fixtures {
            let microseconds = |value: f64| format!("{value:.1}");
            let (median, p99) = (microseconds(summary.median_us), microseconds(summary.p99_us));
            table.row([name.clone(), events.to_string(), median, p99, (memory_bytes / 1024).to_string()]);
        }
        let Self { component_bytes, compile_ms, .. } = self;
        format!("{}component: {component_bytes} bytes, compiled in {compile_ms} ms\n", table.render())
    }
}
