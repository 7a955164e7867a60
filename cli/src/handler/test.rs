//! `floodgate handler test`.

use std::path::{Path, PathBuf};

use clap::Args;
use floodgate_event::source::HandlerLimits;
use floodgate_sandbox::{Handler, Line};
use serde::Serialize;
use similar::TextDiff;

use super::build;
use super::fixture::{self, Fixture};
use super::outcome::Expected;
use super::project::Project;
use super::trial::Trial;
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

/// How one fixture went.
#[derive(Serialize)]
pub(crate) struct Tested {
    name: String,
    passed: bool,
    microseconds: u128,
    /// From what is expected to what came, where they differ.
    #[serde(skip_serializing_if = "String::is_empty")]
    difference: String,
    log: Vec<String>,
}

pub(crate) async fn run(args: &TestArgs) -> Result<(), Failure> {
    let project = Project::open(&args.path)?;
    let built = build::build(&project)?;
    let folder = args.fixtures.clone().unwrap_or_else(|| project.fixtures());
    let tested = test(&built.component, &folder, project.limits()).await?;
    if args.json {
        output::print_json(&tested)?;
    } else {
        output::print(&tested.iter().map(Tested::render).collect::<String>())?;
    }
    verdict(&tested)
}

/// Runs all fixtures of a folder over a component; there is one at least.
pub(crate) async fn test(
    component: &[u8],
    folder: &Path,
    limits: HandlerLimits,
) -> Result<Vec<Tested>, Failure> {
    let fixtures = fixture::read_some(folder).map_err(Failure::usage)?;
    let Trial { handler, .. } = Trial::load(component, &limits)?;
    let mut tested = Vec::with_capacity(fixtures.len());
    for (name, fixture) in fixtures {
        tested.push(Tested::one(name, &fixture, &handler).await?);
    }
    Ok(tested)
}

/// An error if a fixture failed.
pub(crate) fn verdict(tested: &[Tested]) -> Result<(), Failure> {
    match tested.iter().filter(|tested| !tested.passed).count() {
        0 => Ok(()),
        failed => Err(Failure::work(format!("{failed} of {} fixtures failed", tested.len()))),
    }
}

impl Tested {
    async fn one(name: String, fixture: &Fixture, handler: &Handler) -> Result<Self, Failure> {
        let run = fixture.prepare().map_err(Failure::usage)?.run(handler).await;
        let found = Expected::from(&run.result);
        let passed = found == fixture.expect;
        let difference = if passed { String::new() } else { difference(&fixture.expect, &found)? };
        let log = run.log.iter().map(render_line).collect();
        Ok(Self { name, passed, microseconds: run.duration.as_micros(), difference, log })
    }

    /// For people.
    pub(crate) fn render(&self) -> String {
        let verdict = if self.passed { "ok" } else { "FAILED" };
        let head = format!("{verdict:6}  {}  {} µs\n", self.name, self.microseconds);
        let log: String = self.log.iter().map(|line| format!("        {line}\n")).collect();
        format!("{head}{log}{}", self.difference)
    }
}

fn render_line(line: &Line) -> String {
    format!("{:?}: {}", line.level, line.message)
}

fn difference(expected: &Expected, found: &Expected) -> Result<String, Failure> {
    let text = |outcome| serde_json::to_string_pretty(outcome).map(|text| text + "\n").map_err(Failure::work);
    let (expected, found) = (text(expected)?, text(found)?);
    let diff = TextDiff::from_lines(&expected, &found);
    Ok(diff.unified_diff().header("expected", "found").to_string())
}
