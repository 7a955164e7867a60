//! `floodgate handler bench`.

use std::path::PathBuf;

use clap::Args;
use floodgate_toolchain::bench::{Measurement, Progress, measure};
use floodgate_toolchain::load::load;
use floodgate_toolchain::project::Project;
use floodgate_toolchain::{Error, fixture};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::build::build;
use crate::exit::Failure;
use crate::output;
use crate::table::Table;

/// Arguments of `floodgate handler bench`.
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
    fixtures: Vec<Measurement>,
}

pub(crate) async fn run(args: BenchArgs) -> Result<(), Failure> {
    let project = Project::open(&args.path)?;
    let folder = args.fixtures.unwrap_or_else(|| project.fixtures());
    let fixtures = fixture::read_all(&folder).map_err(Error::from)?;
    let built = build(&project)?;
    let loaded = load(&built.component, &project.limits()).map_err(Error::from)?;
    let bar = bar(fixtures.len() as u64 * u64::from(args.events));
    let mut show = |progress: Progress<'_>| match progress {
        Progress::Fixture(name) => bar.set_message(name.to_owned()),
        Progress::Events(count) => bar.inc(count.into()),
    };
    let mut measurements = Vec::with_capacity(fixtures.len());
    for (name, fixture) in fixtures {
        measurements.push(measure(name, &fixture, &loaded.handler, args.events, &mut show).await?);
    }
    bar.finish_and_clear();
    let (component_bytes, compile_ms) = (built.component.len(), loaded.compiled_in.as_millis());
    let report = Report { component_bytes, compile_ms, fixtures: measurements };
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

impl Report {
    fn render(&self) -> String {
        let mut table = Table::new(["FIXTURE", "EVENTS", "MEDIAN µs", "P99 µs", "MEMORY KiB"]);
        for Measurement { name, events, summary, memory_bytes } in &self.fixtures {
            let microseconds = |value: f64| format!("{value:.1}");
            let (median, p99) = (microseconds(summary.median_us), microseconds(summary.p99_us));
            table.row([name.clone(), events.to_string(), median, p99, (memory_bytes / 1024).to_string()]);
        }
        let Self { component_bytes, compile_ms, .. } = self;
        format!("{}component: {component_bytes} bytes, compiled in {compile_ms} ms\n", table.render())
    }
}
