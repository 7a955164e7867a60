//! Finds out whether this machine swaps.

use std::fs;
use std::path::PathBuf;

/// The kernel's list of swap devices; `/proc/swaps` by default.
#[derive(Clone, Debug)]
pub struct SwapDevices(PathBuf);

impl Default for SwapDevices {
    fn default() -> Self {
        Self::listed_in("/proc/swaps")
    }
}

impl SwapDevices {
    /// Reads the list from another file, which has the form of `/proc/swaps`.
    pub fn listed_in(file: impl Into<PathBuf>) -> Self {
        Self(file.into())
    }

    /// Returns true if swap is on, or may be. Pages that were swapped out while dirty can escape the scan by
    /// which a memory slot is reset
    /// ([wasmtime#14357](https://github.com/bytecodealliance/wasmtime/issues/14357)), and the next event
    /// would see the data of the one before.
    pub(crate) fn may_be_on(&self) -> bool {
        fs::read_to_string(&self.0).map_or(true, |text| lists_a_device(&text))
    }
}

/// The file begins with a line of column names.
fn lists_a_device(text: &str) -> bool {
    text.lines().skip(1).any(|line| !line.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_not_a_device() {
        let head = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        assert!(!lists_a_device(head));
        assert!(lists_a_device(&format!("{head}/dev/sda2 partition 1048572 0 -2\n")));
    }

    #[test]
    fn a_list_that_cannot_be_read_may_have_any_device() {
        assert!(SwapDevices::listed_in("/nowhere").may_be_on());
    }
}
