//! `floodgate tether`: runs a program that cannot outlive the process that started it.

use std::ffi::OsString;

use floodgate_devkit::tether;

use crate::exit::Failure;

/// What to run, and for whom.
#[derive(clap::Args)]
pub(crate) struct TetherArgs {
    /// The process that this one ends with
    #[arg(long, value_name = "PID")]
    parent: i32,
    /// The program and its arguments
    #[arg(last = true, required = true, num_args = 1..)]
    program: Vec<OsString>,
}

/// Becomes the program; returns only if that fails.
pub(crate) fn run(args: &TetherArgs) -> Result<(), Failure> {
    let Err(error) = tether::run(args.parent, &args.program);
    let is_usage = error.is_usage();
    Err(Failure::either(error, is_usage))
}
