//! Gives up rights that a process needs no more, before it compiles what a stranger wrote: that can take any time and
//! memory.

use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Processor time of a compilation, in seconds.
const CPU_SECONDS: u64 = 30;
/// Memory that can be written to. The address space is no measure: an instance's memory reserves gigabytes of
/// it that are never touched.
const DATA_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// Limits this process for good: to one compilation and so much processor time besides. No core file either: it would
/// hold the upload.
pub(super) fn restrict(besides: Duration) -> nix::Result<()> {
    lower(Resource::RLIMIT_CORE, 0)?;
    lower(Resource::RLIMIT_CPU, CPU_SECONDS + besides.as_millis().div_ceil(1_000) as u64)?;
    lower(Resource::RLIMIT_DATA, DATA_BYTES)
}

/// What whoever started this process set lower than that stays.
fn lower(resource: Resource, most: u64) -> nix::Result<()> {
    let (_, hard) = getrlimit(resource)?;
    let most = most.min(hard);
    setrlimit(resource, most, most)
}
