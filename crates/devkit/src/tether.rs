//! Runs a program that cannot outlive the process that started it.
//!
//! `floodgate dev` starts its parts through this. The kernel delivers the parent-death signal also when `dev`
//! itself is killed with SIGKILL; asking for it in the new process needs no unsafe code between fork and
//! exec, and `exec` keeps both the process id and the request.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The subcommand that calls [`run`].
pub const SUBCOMMAND: &str = "tether";

/// Becomes `program`, its name and its arguments, in a process that the kernel ends with `parent`, the
/// process id of whoever started it. Returns only if that fails. On other systems than Linux nothing ends the
/// process.
///
/// # Errors
/// If `parent` is not this process's parent any more, or there is no program, or it does not run.
pub fn run(parent: i32, program: &[OsString]) -> Result<Infallible, Error> {
    die_with_parent().map_err(Error::Request)?;
    // The parent may have died before the request was made; then nobody would ever end this process.
    if nix::unistd::getppid().as_raw() != parent {
        return Err(Error::Orphaned);
    }
    let Some((program, arguments)) = program.split_first() else {
        return Err(Error::NoProgram);
    };
    let source = Command::new(program).args(arguments).exec();
    Err(Error::Run { program: program.clone(), source })
}

/// Why a process did not become the program.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel does not take the request.
    #[error(transparent)]
    Request(io::Error),
    /// The parent has ended.
    #[error("the process that wanted this one is gone")]
    Orphaned,
    /// No program was named.
    #[error("no program given")]
    NoProgram,
    /// The program does not run.
    #[error("cannot run {}", program.display())]
    Run {
        /// The program that was to be run.
        program: OsString,
        /// Why it cannot be run.
        source: io::Error,
    },
}

impl Error {
    /// Returns true if the arguments are wrong, and false if the work failed.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::NoProgram)
    }
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
