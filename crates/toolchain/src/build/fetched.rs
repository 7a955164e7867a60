//! Whether what was fetched into a handler's folder is what its list asks for.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A list of what to fetch, and its copy beside what was fetched, which is written once all of it is there.
pub(super) struct Fetched {
    list: PathBuf,
    copy: PathBuf,
}

impl Fetched {
    /// What `list` asks for, fetched into `into`; both in `folder`.
    pub(super) fn new(folder: &Path, list: &str, into: &str) -> Self {
        Self { list: folder.join(list), copy: folder.join(into).join(".floodgate-fetched") }
    }

    /// Whether there is nothing to fetch.
    pub(super) fn is_current(&self) -> bool {
        matches!((fs::read(&self.list), fs::read(&self.copy)), (Ok(list), Ok(copy)) if list == copy)
    }

    /// Says that all of it is there.
    pub(super) fn mark(&self) -> io::Result<()> {
        fs::copy(&self.list, &self.copy).map(drop)
    }

    /// Where [`Self::mark`] writes.
    pub(super) fn path(&self) -> &Path {
        &self.copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_changed_is_fetched_again() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("into")).unwrap();
        fs::write(folder.path().join("list"), "a==1").unwrap();
        let fetched = Fetched::new(folder.path(), "list", "into");
        assert!(!fetched.is_current());
        fetched.mark().unwrap();
        assert!(fetched.is_current());
        fs::write(folder.path().join("list"), "a==2").unwrap();
        assert!(!fetched.is_current());
    }
}
