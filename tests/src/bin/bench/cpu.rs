//! Processor time and age of processes. Processor time says more than rates on a machine whose
//! processors are shared with others.

use std::time::Duration;

use floodgate_testkit::{Failure, Result};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};

/// `utime`, `stime` and `starttime` of proc(5)'s `stat`, counted from the state, which follows the name.
const USER: usize = 11;
const SYSTEM: usize = 12;
const START: usize = 19;

/// What processes have used so far, in user and kernel mode, all of them together.
pub(crate) fn used(processes: &[u32]) -> Result<Duration> {
    let of = |&process: &u32| -> Result<u64> { Ok(ticks(process, [USER, SYSTEM])?.iter().sum()) };
    of_ticks(processes.iter().map(of).sum::<Result<u64>>()?)
}

/// How long ago a process began, to a tick of 10 ms.
pub(crate) fn age(process: u32) -> Result<Duration> {
    let [began] = ticks(process, [START])?;
    let now = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME)?);
    Ok(now.saturating_sub(of_ticks(began)?))
}

fn of_ticks(ticks: u64) -> Result<Duration> {
    let per_second = sysconf(SysconfVar::CLK_TCK)?.ok_or_else(|| Failure::new("no clock ticks"))?;
    Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
}

/// Fields of proc(5)'s `stat`; the name before them may hold anything.
fn ticks<const N: usize>(process: u32, places: [usize; N]) -> Result<[u64; N]> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = text.rsplit_once(") ").ok_or_else(|| Failure::new("unreadable stat"))?;
    let mut found = [0; N];
    for (found, place) in found.iter_mut().zip(places) {
        *found = fields.split(' ').nth(place).unwrap_or_default().parse()?;
    }
    Ok(found)
}
