//! Prepares this process for a component that a stranger wrote: limits the process, starts an engine and
//! reads the component. Compiling such a component can take any time and memory.

use std::io::{self, Read};
use std::time::Duration;

use floodgate_event::compile::{MEMORY_BYTES, PROCESSOR_SECONDS};
use floodgate_sandbox::{Engine, EngineError, Limits};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use prometheus::Registry;

/// Seconds from SIGXCPU, which says that the limit was reached, to SIGKILL.
const LAST_SECONDS: u64 = 5;

/// Limits this process for good, to the processor time and memory of one compilation and `besides` more
/// processor time. Core files are off: one would hold the upload. The limit is on data, not on address space:
/// an instance reserves gigabytes of address space that it never touches.
pub(crate) fn restrict(besides: Duration) -> Result<(), ProcessError> {
    let seconds = PROCESSOR_SECONDS + besides.as_millis().div_ceil(1_000) as u64;
    lower(Resource::RLIMIT_CORE, 0, 0)?;
    lower(Resource::RLIMIT_CPU, seconds, seconds + LAST_SECONDS)?;
    Ok(lower(Resource::RLIMIT_DATA, MEMORY_BYTES, MEMORY_BYTES)?)
}

/// Lowers a limit. A limit that is lower already stays.
fn lower(resource: Resource, soft: u64, hard: u64) -> nix::Result<()> {
    let (now, most) = getrlimit(resource)?;
    setrlimit(resource, soft.min(now), hard.min(most))
}

/// Starts an engine that runs one instance at a time.
pub(crate) fn engine(limits: Limits) -> Result<Engine, ProcessError> {
    Ok(Engine::new(Limits { instances: 1, ..limits }, &Registry::new())?)
}

/// Reads at most one byte more than `most`, so that the engine can tell that a component is too large.
pub(crate) fn read(input: impl Read, most: usize) -> Result<Vec<u8>, ProcessError> {
    let mut bytes = Vec::new();
    input.take(most as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Why this process cannot look at any component. Never the component's fault.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The limits of the process cannot be set.
    #[error(transparent)]
    Limit(#[from] nix::Error),
    /// The engine does not start on this machine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The input cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
}
