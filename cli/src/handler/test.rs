//! `floodgate handler test`.

use std::path::PathBuf;

use clap::Args;
use floodgate_toolchain::project::Project;
use floodgate_toolchain::test::{self, TestResult};

use super::build::build;
use crate::exit::Failure;
use crate::output;

/// Arguments of `floodgate handler test`.
#[derive(Args)]
pub(crate) struct TestArgs {
    /// The handler's folder
    #[arg(default_value = ".")]
    path: PathBuf,
    /// The folder of fixtures; `fixtures` in the handler's folder if left out
    #[arg(long, value_name = "DIR")]
    fixtures: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &TestArgs) -> Result<(), Failure> {
    let project = Project::open(&args.path)?;
    let built = build(&project)?;
    let folder = args.fixtures.clone().unwrap_or_else(|| project.fixtures());
    let results = test::test(&built.component, &folder, project.limits()).await?;
    if args.json {
        output::print_json(&results)?;
    } else {
        output::print(&render(&results))?;
    }
    verdict(&results)
}

/// An error if a fixture failed.
pub(super) fn verdict(results: &[TestResult]) -> Result<(), Failure> {
    match results.iter().filter(|result| !result.passed).count() {
        0 => Ok(()),
        failed => Err(Failure::work(format!("{failed} of {} fixtures failed", results.len()))),
    }
}

/// The results for people.
pub(super) fn render(results: &[TestResult]) -> String {
    results.iter().map(render_one).collect()
}

fn render_one(result: &TestResult) -> String {
    let verdict = if result.passed { "ok" } else { "FAILED" };
    let head = format!("{verdict:6}  {}  {} µs\n", result.name, result.microseconds);
    let log: String = result.log.iter().map(|line| format!("        {line}\n")).collect();
    format!("{head}{log}{}", result.difference)
}
