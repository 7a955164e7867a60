//! Gives up rights that a process needs no more, before it compiles what a stranger wrote:
//! that can take any time and memory.

use std::time::Duration;

use floodgate_event::compile::{MEMORY_BYTES, PROCESSOR_SECONDS};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// From the signal that says which limit was reached to the one that says nothing.
const LAST_SECONDS: u64 = 5;

/// Limits this process for good: to one compilation and so much processor time besides. No core file either:
/// it would hold the upload. The address space is no measure of memory: an instance's reserves gigabytes of
/// it that are never touched.
pub(crate) fn restrict(besides: Duration) -> nix::Result<()> {
    let seconds = PROCESSOR_SECONDS + besides.as_millis().div_ceil(1_000) as u64;
    lower(Resource::RLIMIT_CORE, 0, 0)?;
    lower(Resource::RLIMIT_CPU, seconds, seconds + LAST_SECONDS)?;
    lower(Resource::RLIMIT_DATA, MEMORY_BYTES, MEMORY_BYTES)
}

/// What whoever started this process set lower than that stays.
fn lower(resource: Resource, soft: u64, hard: u64) -> nix::Result<()> {
    let (now, most) = getrlimit(resource)?;
    setrlimit(resource, soft.min(now), hard.min(most))
}
