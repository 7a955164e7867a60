//! Checks the free space on the disks that programs write to.

use std::path::Path;

use super::finding::{Advice, Findings, State};

/// With less of a disk or of its inodes left, in percent, the finding is a warning, or wrong.
const WARN_PERCENT: u64 = 20;
const WRONG_PERCENT: u64 = 5;
/// With so many bytes left the finding is at most a warning, whatever part of a large disk that is.
const PLENTY: u64 = 10 << 30;

/// Checks the file system of a folder, which need not exist yet.
pub(super) fn check(what: &'static str, folder: &Path, findings: &mut Findings) {
    let there = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
    let subject = format!("{what} {}", folder.display());
    let stat = match rustix::fs::statvfs(there) {
        Ok(stat) => stat,
        Err(error) => {
            return findings.unknown("disk", subject, error.to_string(), "look at the disk with df");
        }
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let bytes = percent(stat.f_bavail, stat.f_blocks);
    // File systems that create inodes on demand report none.
    let inodes = percent(stat.f_favail, stat.f_files);
    let found = format!("{bytes} % free ({}), {inodes} % of inodes", gibibytes(free));
    let room = if free >= PLENTY { judge(bytes).min(State::Warning) } else { judge(bytes) };
    let advice = Advice(
        "On a full disk a region answers 503 and the relay stops.",
        "make room, or move it to a larger disk: docs/operations.md says how large",
    );
    findings.add_judged(room.max(judge(inodes)), "disk", subject, found, advice);
}

/// Judges the space that is left.
pub(super) fn judge(percent_left: u64) -> State {
    match percent_left {
        0..WRONG_PERCENT => State::Wrong,
        WRONG_PERCENT..WARN_PERCENT => State::Warning,
        _ => State::Ok,
    }
}

/// A part in percent of the whole. 100 if the whole is 0.
pub(super) fn percent(part: u64, whole: u64) -> u64 {
    (u128::from(part) * 100)
        .checked_div(u128::from(whole))
        .and_then(|percent| u64::try_from(percent).ok())
        .unwrap_or(100)
}

/// A number of bytes as text in GiB, with one decimal.
pub(super) fn gibibytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) >> 30;
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_decides() {
        assert_eq!(
            [0, 4, 5, 19, 20].map(judge),
            [State::Wrong, State::Wrong, State::Warning, State::Warning, State::Ok]
        );
        assert_eq!((percent(1, 4), percent(0, 0), percent(u64::MAX, u64::MAX)), (25, 100, 100));
        assert_eq!(gibibytes(3 << 29), "1.5 GiB");
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_on_its_parent_s_disk() {
        let mut findings = Findings::default();
        check("state", Path::new("/no/such/folder"), &mut findings);
        assert!(findings.all()[0].found.contains("free"), "{findings:?}");
    }
}
