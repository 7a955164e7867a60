//! Compiles a component to machine code in this process, under limits of time and memory. A gateway runs this
//! as a process of its own on each component that it has no machine code of.

use std::io::Read;
use std::time::Duration;

use floodgate_sandbox::{Code, Limits, LoadError};

use crate::restrict::{self, ProcessError, restrict};

/// The most that any gateway's configuration lets a component have.
const MAX_COMPONENT_BYTES: usize = 64 * 1024 * 1024;

/// Reads a component of at most 64 MiB and compiles it.
///
/// Limits this process for good, and makes it the first one to be killed where memory runs out.
///
/// # Errors
/// If the limits cannot be set, the input cannot be read, or the component is refused ([`Error::Refused`]).
pub fn compile(input: impl Read) -> Result<Code, Error> {
    restrict(Duration::ZERO)?;
    // Where memory runs out this process is the one to go.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let engine = restrict::engine(Limits { component_bytes: MAX_COMPONENT_BYTES, ..Limits::default() })?;
    let component = restrict::read(input, MAX_COMPONENT_BYTES)?;
    engine.precompile(&component).map_err(Error::Refused)
}

/// Why there is no machine code.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This process cannot compile any component.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The component is not one that a gateway runs.
    #[error(transparent)]
    Refused(LoadError),
}
