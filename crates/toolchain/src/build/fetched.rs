//! Tells whether the dependencies in a handler's folder are the ones that its list names.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A list of dependencies, and its copy beside them, which is written once all of them are fetched.
pub(super) struct Dependencies {
    list: PathBuf,
    copy: PathBuf,
}

impl Dependencies {
    /// The dependencies that the file `list` names, in the folder `into`; both paths are relative to
    /// `folder`.
    pub(super) fn new(folder: &Path, list: &str, into: &str) -> Self {
        Self { list: folder.join(list), copy: folder.join(into).join(".floodgate-fetched") }
    }

    /// Returns true if nothing needs to be fetched.
    pub(super) fn is_current(&self) -> bool {
        matches!((fs::read(&self.list), fs::read(&self.copy)), (Ok(list), Ok(copy)) if list == copy)
    }

    /// Records that all of them are fetched.
    pub(super) fn mark(&self) -> io::Result<()> {
        fs::copy(&self.list, &self.copy).map(drop)
    }

    /// The copy of the list, which [`Self::mark`] writes.
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
        let fetched = Dependencies::new(folder.path(), "list", "into");
        assert!(!fetched.is_current());
        fetched.mark().unwrap();
        assert!(fetched.is_current());
        fs::write(folder.path().join("list"), "a==2").unwrap();
        assert!(!fetched.is_current());
    }
}
