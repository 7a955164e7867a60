//! `floodgate handler check`: what the relay runs on an upload. Compiling what a stranger wrote can take any
//! time and memory, so this process gives up the right to both before it looks at it.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use floodgate_event::causes::chain;
use floodgate_event::source::HandlerLimits;
use floodgate_sandbox::{Engine, FaultKind, Handler, Limits};
use prometheus::Registry;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::restrict::restrict;
use crate::exit::Failure;
use crate::output;

/// The longest line of parameters and limits, in bytes: a binding has at most 64 KiB of the former, and a
/// list of bindings at most 1 MiB.
const MAX_LINE_BYTES: usize = 2 * 1024 * 1024;
/// The time that a handler is reckoned to have for an answer where its binding does not say.
const RECKONED_DEADLINE_MS: u32 = 60;

/// What to check.
#[derive(Args)]
pub(crate) struct CheckArgs {
    /// The component; standard input if left out
    file: Option<PathBuf>,
    /// Also ask the component whether it takes the `params`, within the `limits`, that are the input's first
    /// line, or each of a list of them there
    #[arg(long, conflicts_with = "file")]
    params: bool,
}

/// What the component is asked about, and what the input's first line is, or is a list of.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    params: Box<RawValue>,
    limits: HandlerLimits,
}

#[derive(Serialize)]
struct Verdict {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Which one of a list is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<usize>,
}

impl Verdict {
    fn refused(error: String, at: Option<usize>) -> Self {
        Self { ok: false, error: Some(error), at }
    }
}

pub(crate) async fn run(args: &CheckArgs) -> Result<(), Failure> {
    let verdict = check(args).await?;
    output::print_json(&verdict)?;
    if verdict.ok { Ok(()) } else { Err(Failure::work("the component was refused")) }
}

async fn check(args: &CheckArgs) -> Result<Verdict, Failure> {
    // What a gateway gives at most is its own business; nobody can ask for more than this.
    let limits =
        Limits { instances: 1, max_memory_bytes: 1 << 30, max_deadline_ms: 10_000, ..Limits::default() };
    let mut component = read(args, limits.component_bytes).map_err(Failure::work)?;
    let asked = if args.params { asked(&mut component)? } else { Vec::new() };
    restrict(asked.iter().map(Asked::deadline).sum()).map_err(Failure::work)?;
    let engine = Engine::new(limits, &Registry::new()).map_err(Failure::work)?;
    let handler = match engine.load(&component) {
        Ok(handler) => handler,
        Err(error) => return Ok(Verdict::refused(chain(&error), None)),
    };
    for (at, asked) in asked.iter().enumerate() {
        if let Some(error) = ask(&handler, asked).await {
            return Ok(Verdict::refused(error, Some(at)));
        }
    }
    Ok(Verdict { ok: true, error: None, at: None })
}

/// The first line: an object, or a list of them.
fn asked(input: &mut Vec<u8>) -> Result<Vec<Asked>, Failure> {
    let line = first_line(input).map_err(Failure::work)?;
    let asked = if line.starts_with('[') {
        serde_json::from_str(&line)
    } else {
        serde_json::from_str(&line).map(|one| vec![one])
    };
    asked.map_err(Failure::work)
}

impl Asked {
    fn deadline(&self) -> Duration {
        Duration::from_millis(self.limits.deadline_ms.unwrap_or(RECKONED_DEADLINE_MS).into())
    }
}

async fn ask(handler: &Handler, asked: &Asked) -> Option<String> {
    let bound = match handler.bind(&asked.limits) {
        Ok(bound) => bound,
        Err(limit) => return Some(limit.to_string()),
    };
    let answer = bound.check_params(asked.params.get()).await;
    answer.err().map(|fault| match fault.kind() {
        FaultKind::Error => fault.message().to_owned(),
        _ => fault.to_string(),
    })
}

/// Takes the first line, without its end, from the front.
fn first_line(input: &mut Vec<u8>) -> io::Result<String> {
    let Some(end) = input.iter().position(|&byte| byte == b'\n') else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no line of parameters"));
    };
    let mut line: Vec<u8> = input.drain(..=end).collect();
    line.pop();
    String::from_utf8(line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Reads a byte more than is taken, so that what is too large is still seen to be.
fn read(args: &CheckArgs, most: usize) -> io::Result<Vec<u8>> {
    let input: Box<dyn Read> = match &args.file {
        Some(path) => Box::new(File::open(path)?),
        None => Box::new(io::stdin().lock()),
    };
    let mut component = Vec::new();
    let line = if args.params { MAX_LINE_BYTES } else { 0 };
    input.take((most + line) as u64 + 1).read_to_end(&mut component)?;
    Ok(component)
}
