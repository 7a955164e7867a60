//! Limits this process before it compiles what a stranger wrote, which can take any time and memory.

use std::time::Duration;

use floodgate_event::compile::{MEMORY_BYTES, PROCESSOR_SECONDS};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Seconds from SIGXCPU, which says that the limit was reached, to SIGKILL.
const LAST_SECONDS: u64 = 5;

/// Limits this process for good, to the processor time and memory of one compilation and `besides` more
/// processor time. Core files are off: one would hold the upload. The limit is on data, not on address space:
/// an instance reserves gigabytes of address space that it never touches.
pub(crate) fn restrict(besides: Duration) -> nix::Result<()> {
    let seconds = PROCESSOR_SECONDS + besides.as_millis().div_ceil(1_000) as u64;
    lower(Resource::RLIMIT_CORE, 0, 0)?;
    lower(Resource::RLIMIT_CPU, seconds, seconds + LAST_SECONDS)?;
    lower(Resource::RLIMIT_DATA, MEMORY_BYTES, MEMORY_BYTES)
}

/// Lowers a limit. A limit that is lower already stays.
fn lower(resource: Resource, soft: u64, hard: u64) -> nix::Result<()> {
    let (now, most) = getrlimit(resource)?;
    setrlimit(resource, soft.min(now), hard.min(most))
}
