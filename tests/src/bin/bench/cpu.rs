//! Processor time of processes. Says more than rates on a machine whose processors are shared with others.

use std::time::Duration;

use floodgate_tests::{Failure, Result};
use nix::unistd::{SysconfVar, sysconf};

/// What processes have used so far, in user and kernel mode, all of them together.
pub(crate) fn used(processes: &[u32]) -> Result<Duration> {
    let per_second = sysconf(SysconfVar::CLK_TCK)?.ok_or_else(|| Failure::new("no clock ticks"))?;
    let ticks: u64 = processes.iter().map(|&process| ticks(process)).sum::<Result<u64>>()?;
    Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
}

/// `utime` and `stime` of proc(5)'s `stat`, the 12th and 13th fields after the name, which may hold anything.
fn ticks(process: u32) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = text.rsplit_once(") ").ok_or_else(|| Failure::new("unreadable stat"))?;
    let mut fields = fields.split(' ').skip(11);
    let mut next = || -> Result<u64> { Ok(fields.next().unwrap_or_default().parse()?) };
    Ok(next()? + next()?)
}
