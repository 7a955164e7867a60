//! `floodgate handler test`.

use std::path::PathBuf;

use clap::Args;
use floodgate_toolchain::project::Project;
use floodgate_toolchain::test::{self, Tested};

use super::build::build;
use crate::exit::Failure;
use crate::output;

/// What to test.
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
    let tested = test::test(&built.component, &folder, project.limits()).await?;
    if args.json {
        output::print_json(&tested)?;
    } else {
        output::print(&render(&tested))?;
    }
    verdict(&tested)
}

/// An error if a fixture failed.
pub(super) fn verdict(tested: &[Tested]) -> Result<(), Failure> {
    match tested.iter().filter(|tested| !tested.passed).count() {
        0 => Ok(()),
        failed => Err(Failure::work(format!("{failed} of {} fixtures failed", tested.len()))),
    }
}

/// The results for people.
pub(super) fn render(tested: &[Tested]) -> String {
    tested.iter().map(render_one).collect()
}

fn render_one(tested: &Tested) -> String {
    let verdict = if tested.passed { "ok" } else { "FAILED" };
    let head = format!("{verdict:6}  {}  {} µs\n", tested.name, tested.microseconds);
    let log: String = tested.log.iter().map(|line| format!("        {line}\n")).collect();
    format!("{head}{log}{}", tested.difference)
}
