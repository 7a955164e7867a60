//! Gives up rights that a process needs no more, before it compiles what a stranger wrote: that can take any time and
//! memory.

use nix::sys::resource::{Resource, setrlimit};

/// Processor time, in seconds.
const CPU_SECONDS: u64 = 30;
/// Memory that can be written to. The address space is no measure: an instance's memory reserves gigabytes of
/// it that are never touched.
const DATA_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// Limits this process for good. No core file either: it would hold the upload.
pub(super) fn restrict() -> nix::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    setrlimit(Resource::RLIMIT_CPU, CPU_SECONDS, CPU_SECONDS)?;
    setrlimit(Resource::RLIMIT_DATA, DATA_BYTES, DATA_BYTES)
}
