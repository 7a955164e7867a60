//! `floodgate handler check`: what the relay runs on an upload.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use clap::Args;
use floodgate_toolchain::check::check;

use crate::exit::Failure;
use crate::output;

/// Arguments of `floodgate handler check`.
#[derive(Args)]
pub(crate) struct CheckArgs {
    /// The component; standard input if left out
    file: Option<PathBuf>,
    /// Also ask the component whether it takes the `params`, within the `limits`, that are the input's first
    /// line, or each of a list of them there
    #[arg(long, conflicts_with = "file")]
    params: bool,
}

pub(crate) async fn run(args: &CheckArgs) -> Result<(), Failure> {
    let verdict = match &args.file {
        Some(path) => check(File::open(path).map_err(Failure::work)?, args.params).await,
        None => check(io::stdin().lock(), args.params).await,
    };
    let verdict = verdict.map_err(Failure::work)?;
    output::print_json(&verdict)?;
    if verdict.ok { Ok(()) } else { Err(Failure::work("the component was refused")) }
}
