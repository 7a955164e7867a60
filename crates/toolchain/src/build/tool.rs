//! The programs that make components. What they run is strangers' code, so none of them
//! gets the admin API's token.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use super::Error;

/// A program that the machine has, or how to get it.
#[derive(Clone, Copy)]
pub(super) struct Tool {
    program: &'static str,
    get: &'static str,
}

/// Which compiler there is.
pub(super) const RUSTC: Tool = Tool { program: "rustc", get: "install Rust from https://rustup.rs" };
/// The program that builds crates.
pub(super) const CARGO: Tool = Tool { program: "cargo", get: "install Rust from https://rustup.rs" };
/// What fetches and runs JavaScript.
pub(super) const NPM: Tool =
    Tool { program: "npm", get: "install Node.js 20 or newer, with npm, from https://nodejs.org" };
/// What fetches and runs Python, and the C compiler, which PyPI carries.
pub(super) const PYTHON: Tool =
    Tool { program: "python3", get: "install Python 3.10 or newer, with venv, from https://www.python.org" };

impl Tool {
    /// The program, in a folder.
    pub(super) fn command(self, folder: &Path) -> Command {
        command(self.program, folder)
    }

    /// Runs the program until it ends.
    pub(super) fn run(self, mut command: Command) -> Result<(), ToolError> {
        let status = command.stdout(io::stderr()).status().map_err(|source| self.missing(source))?;
        if status.success() { Ok(()) } else { Err(self.failed(status)) }
    }

    /// That the program does not even start.
    pub(super) fn missing(self, source: io::Error) -> ToolError {
        ToolError::Missing { program: self.program, get: self.get, source }
    }

    /// That the program did not do its work.
    pub(super) fn failed(self, status: ExitStatus) -> ToolError {
        ToolError::Failed { what: self.program.into(), status }
    }
}

/// A program without standard input and without the token.
pub(super) fn command(program: impl AsRef<OsStr>, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null()).env_remove("FLOODGATE_TOKEN");
    command
}

/// Runs a program that was fetched into the handler's folder.
pub(super) fn run_fetched(mut command: Command) -> Result<(), ToolError> {
    let program = PathBuf::from(command.get_program());
    match command.stdout(io::stderr()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(ToolError::Failed { what: program, status }),
        Err(source) => Err(ToolError::Broken { program, source }),
    }
}

impl ToolError {
    /// The same, where the program was to fetch something. That it is missing says enough by itself.
    pub(super) fn fetching(self, what: &'static str) -> Error {
        match self {
            Self::Missing { .. } => self.into(),
            source => Error::Fetch { what, source },
        }
    }
}

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// A program that the machine should have does not start.
    #[error("{program} does not run; {get}")]
    Missing {
        /// The name of the program, as it is looked up on the PATH.
        program: &'static str,
        /// How to get it.
        get: &'static str,
        /// Why it does not start.
        source: io::Error,
    },
    /// A program that was fetched into the handler's folder does not start.
    #[error("{} does not run; remove what was fetched and build again", program.display())]
    Broken {
        /// The path of the program.
        program: PathBuf,
        /// Why it does not start.
        source: io::Error,
    },
    /// A program ended with an error, which it has printed to standard error.
    #[error("{} failed ({status})", what.display())]
    Failed {
        /// The program's name or path.
        what: PathBuf,
        /// The exit status or signal.
        status: ExitStatus,
    },
}
