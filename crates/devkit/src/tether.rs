//! Runs a program that cannot outlive the process that started it.
//!
//! `floodgate dev` starts its parts through this. The kernel delivers the parent-death signal also when `dev`
//! itself is killed with SIGKILL; asking for it in the new process needs no unsafe code between fork and
//! exec, and `exec` keeps both the process id and the request.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::exit::Failure;

/// The subcommand's name.
pub(crate) const SUBCOMMAND: &str = "tether";

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
    die_with_parent().map_err(Failure::work)?;
    // The parent may have died before the request was made; then nobody would ever end this process.
    if nix::unistd::getppid().as_raw() != args.parent {
        return Err(Failure::work("the process that wanted this one is gone"));
    }
    let Some((program, arguments)) = args.program.split_first() else {
        return Err(Failure::usage("no program given"));
    };
    let error = Command::new(program).args(arguments).exec();
    Err(Failure::work(CannotRun { program: program.clone(), source: error }))
}

#[derive(Debug, thiserror::Error)]
#[error("cannot run {}", program.display())]
struct CannotRun {
    program: OsString,
    source: io::Error,
}

/// SIGKILL rather than SIGTERM: the next `dev` must find the ports and folders free.
/// All that was acknowledged is on disk already.
#[cfg(target_os = "linux")]
fn die_with_parent() -> io::Result<()> {
    Ok(nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?)
}

/// Other systems have no such request; there a killed `dev` leaves its parts behind.
#[cfg(not(target_os = "linux"))]
fn die_with_parent() -> io::Result<()> {
    Ok(())
}
