//! Processes by their id: faults are signals.

use std::fs;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::failure::Context;
use crate::{Failure, Result};

/// A process id, as the ready file gives it.
pub type ProcessId = u32;

/// Sends a signal.
///
/// # Errors
/// If there is no such process.
pub fn signal(process: ProcessId, signal: Signal) -> Result<()> {
    let pid = i32::try_from(process)?;
    kill(Pid::from_raw(pid), signal).during(format!("{signal} to process {process}"))
}

/// Whether the process runs. One that ended and was not waited for yet does not.
pub fn is_running(process: ProcessId) -> bool {
    fs::read_to_string(format!("/proc/{process}/stat"))
        .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with('Z')))
}

/// The most memory that the process ever had resident, in bytes.
///
/// # Errors
/// If it is gone, or the kernel does not say.
pub fn peak_resident_bytes(process: ProcessId) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let kibibytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|value| value.trim().strip_suffix("kB"))
        .ok_or_else(|| Failure::new("no VmHWM in /proc"))?;
    Ok(kibibytes.trim().parse::<u64>()? * 1024)
}

/// How many files and sockets the process has open, and how many it may have.
///
/// # Errors
/// If it is gone, or the kernel does not say.
pub fn open_files(process: ProcessId) -> Result<(usize, usize)> {
    let open = fs::read_dir(format!("/proc/{process}/fd"))?.count();
    let limits = fs::read_to_string(format!("/proc/{process}/limits"))?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|rest| rest.split_whitespace().next());
    let soft = soft.ok_or_else(|| Failure::new("no limit of open files in /proc"))?;
    Ok((open, soft.parse().unwrap_or(usize::MAX)))
}

/// Lets this process, and those that it starts from now on, open as many files as the system allows. Returns
/// that number.
///
/// # Errors
/// If the system refuses.
pub fn raise_open_files() -> Result<u64> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    Ok(most)
}
