//! The folder that a deployment lives in: private to its owner, and used by one `floodgate dev` at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use floodgate_event::Secret;

use crate::files::{self, Readers};

/// The folders in it.
const FOLDERS: [&str; 5] = ["config", "data", "log", "secrets", "tls"];

/// The folder, held for this process until dropped.
#[derive(Debug)]
pub(crate) struct Directory {
    root: PathBuf,
    _lock: File,
}

impl Directory {
    /// Opens the folder, making it if it is not there.
    pub(crate) fn open(root: &Path) -> Result<Self, DirectoryError> {
        let failed = |source| DirectoryError::Open { path: root.to_owned(), source };
        for folder in FOLDERS {
            files::private_folder(&root.join(folder)).map_err(failed)?;
        }
        let root = root.canonicalize().map_err(failed)?;
        let lock = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(root.join("lock"))
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DirectoryError::InUse(root)),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// A path in the folder.
    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// Writes a file that only its owner can read, all of it or nothing, and gives its path.
    pub(crate) fn write(&self, relative: &str, contents: &[u8]) -> Result<PathBuf, DirectoryError> {
        let path = self.path(relative);
        files::write(&path, contents, Readers::Nobody)
            .map_err(|source| DirectoryError::Write { path: path.clone(), source })?;
        Ok(path)
    }

    /// Reads a file, or nothing if there is none.
    pub(crate) fn read(&self, relative: &str) -> Result<Option<String>, DirectoryError> {
        let path = self.path(relative);
        files::read(&path).map_err(|source| DirectoryError::Read { path, source })
    }

    /// The secret in a file; made and written if there is none yet.
    pub(crate) fn keep(&self, relative: &str, make: impl FnOnce() -> Secret) -> Result<Kept, DirectoryError> {
        if let Some(text) = self.read(relative)? {
            return Ok(Kept { path: self.path(relative), secret: Secret::new(text) });
        }
        let secret = make();
        let path = self.write(relative, secret.expose().as_bytes())?;
        Ok(Kept { path, secret })
    }
}

/// A secret and the file that it is kept in.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The file.
    pub(crate) path: PathBuf,
    /// The secret.
    pub(crate) secret: Secret,
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DirectoryError {
    /// It cannot be made or opened.
    #[error("cannot use the folder {}", path.display())]
    Open {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process holds it.
    #[error("another `floodgate dev` runs in {}; stop it, or choose another --dir", .0.display())]
    InUse(PathBuf),
    /// A file in it cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file in it cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn secrets_are_kept_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(&folder.path().join("new")).unwrap();
        let kept = directory.keep("secrets/a", || Secret::new("one")).unwrap();
        assert_eq!(kept.path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let again = directory.keep("secrets/a", || Secret::new("two")).unwrap();
        assert_eq!(again.secret.expose(), "one");
    }

    #[test]
    fn one_holder_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let held = Directory::open(folder.path()).unwrap();
        assert!(matches!(Directory::open(folder.path()), Err(DirectoryError::InUse(_))));
        drop(held);
        assert!(Directory::open(folder.path()).is_ok());
    }
}
