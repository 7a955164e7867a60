//! `floodgate handler check`: what the relay runs on an upload. Compiling what a stranger wrote can take any time
//! and memory, so this process first gives up the right to both.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use clap::Args;
use floodgate_event::causes::chain;
use floodgate_gateway::handle::{Engine, Limits};
use prometheus::Registry;
use serde::Serialize;

use super::restrict::restrict;
use crate::exit::Failure;
use crate::output;

/// What to check.
#[derive(Args)]
pub(crate) struct CheckArgs {
    /// The component; standard input if left out
    file: Option<PathBuf>,
}

#[derive(Serialize)]
struct Verdict {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(crate) fn run(args: &CheckArgs) -> Result<(), Failure> {
    restrict().map_err(Failure::work)?;
    let error = check(args)?;
    let ok = error.is_none();
    output::print_json(&Verdict { ok, error })?;
    if ok { Ok(()) } else { Err(Failure::work("the component was refused")) }
}

fn check(args: &CheckArgs) -> Result<Option<String>, Failure> {
    let limits = Limits { instances: 1, ..Limits::default() };
    let component = read(args, limits.component_bytes).map_err(Failure::work)?;
    let engine = Engine::new(limits, &Registry::new()).map_err(Failure::work)?;
    Ok(engine.load(&component).err().map(|error| chain(&error)))
}

/// Reads a byte more than is taken, so that what is too large is still seen to be.
fn read(args: &CheckArgs, most: usize) -> io::Result<Vec<u8>> {
    let input: Box<dyn Read> = match &args.file {
        Some(path) => Box::new(File::open(path)?),
        None => Box::new(io::stdin().lock()),
    };
    let mut component = Vec::new();
    input.take(most as u64 + 1).read_to_end(&mut component)?;
    Ok(component)
}
