//! Runs fixtures over a component and compares each outcome with the one expected.

use std::path::Path;

use floodgate_event::source::HandlerLimits;
use floodgate_sandbox::{Handler, Line};
use serde::Serialize;
use similar::TextDiff;

use crate::error::Error;
use crate::fixture::{self, Fixture};
use crate::load::load;
use crate::outcome::OutcomeJson;

/// The result of one fixture.
#[derive(Debug, Serialize)]
pub struct TestResult {
    /// The name of the fixture: its file name without `.json`.
    pub name: String,
    /// True if the outcome is the one expected.
    pub passed: bool,
    /// How long the run took, in microseconds.
    pub microseconds: u128,
    /// A unified diff from the expected outcome to the one found, as JSON; empty if the fixture passed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub difference: String,
    /// What the handler logged, a line each, with its level in front.
    pub log: Vec<String>,
}

/// Runs all fixtures of a folder over a component, in the order of their names. The result is never empty.
///
/// # Errors
/// If the folder has no fixtures or a malformed one, or a gateway would refuse the component. A fixture that
/// fails is no error.
pub async fn test(component: &[u8], folder: &Path, limits: HandlerLimits) -> Result<Vec<TestResult>, Error> {
    let fixtures = fixture::read_all(folder)?;
    let handler = load(component, &limits)?.handler;
    let mut results = Vec::with_capacity(fixtures.len());
    for (name, fixture) in fixtures {
        results.push(run(name, &fixture, &handler).await?);
    }
    Ok(results)
}

async fn run(name: String, fixture: &Fixture, handler: &Handler) -> Result<TestResult, Error> {
    let run = fixture.prepare()?.run(handler).await;
    let found = OutcomeJson::from(&run.result);
    let passed = found == fixture.expect;
    let difference = if passed { String::new() } else { difference(&fixture.expect, &found)? };
    let log = run.log.iter().map(render_line).collect();
    Ok(TestResult { name, passed, microseconds: run.duration.as_micros(), difference, log })
}

fn render_line(line: &Line) -> String {
    format!("{:?}: {}", line.level, line.message)
}

fn difference(expected: &OutcomeJson, found: &OutcomeJson) -> serde_json::Result<String> {
    let text = |outcome| serde_json::to_string_pretty(outcome).map(|text| text + "\n");
    let (expected, found) = (text(expected)?, text(found)?);
    let diff = TextDiff::from_lines(&expected, &found);
    Ok(diff.unified_diff().header("expected", "found").to_string())
}
