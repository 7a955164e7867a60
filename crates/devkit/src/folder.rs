//! The folder of a deployment: private to its owner, and used by one `floodgate dev` at a time.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use floodgate_event::Secret;
use floodgate_event::secret::Unfit;

use crate::files::{self, Readers};
use crate::trust::{self, Access, Untrusted};

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;
/// The names of its subfolders.
const FOLDERS: [&str; 5] = ["config", "data", "log", "secrets", "tls"];

/// The folder. This process holds it until this is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    _lock: File,
}

impl Folder {
    /// Opens the folder, and creates it if it does not exist.
    ///
    /// # Errors
    /// If it or anything in it is another user's, or another user could change it: keys that somebody else
    /// put there are no secrets, and the configuration there names commands.
    pub(crate) fn open(root: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Open { path: root.to_owned(), source };
        // First, before anything is created on the way there.
        trust::check_path(root)?;
        files::private_folder(root).map_err(failed)?;
        let root = root.canonicalize().map_err(failed)?;
        trust::check_folder(&root)?;
        trust::check_content(&root)?;
        for folder in FOLDERS.map(|folder| root.join(folder)) {
            files::private_folder(&folder).map_err(failed)?;
            trust::check_path(&folder)?;
            trust::check_folder(&folder)?;
            trust::check_content(&folder)?;
            // A folder that existed may let other users read it.
            fs::set_permissions(&folder, Permissions::from_mode(0o700)).map_err(failed)?;
        }
        let lock = trust::append(&root.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse(root)),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// A path in the folder.
    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// Writes a file that only its owner can read, all of it or nothing, and returns its path.
    pub(crate) fn write(&self, relative: &str, contents: &[u8]) -> Result<PathBuf, Error> {
        let path = self.path(relative);
        files::write(&path, contents, Readers::Nobody)
            .map_err(|source| Error::Write { path: path.clone(), source })?;
        Ok(path)
    }

    /// Reads a file, or returns none if there is no file.
    pub(crate) fn read(&self, relative: &str) -> Result<Option<String>, Error> {
        let bytes = self.bytes(relative, Access::Readable)?;
        bytes
            .map(String::from_utf8)
            .transpose()
            .map_err(|_| Error::Read { path: self.path(relative), source: io::ErrorKind::InvalidData.into() })
    }

    fn bytes(&self, relative: &str, access: Access) -> Result<Option<Vec<u8>>, Error> {
        let path = self.path(relative);
        let Some(file) = trust::open(&path, access)? else { return Ok(None) };
        let mut bytes = Vec::new();
        match file.take(MAX_BYTES).read_to_end(&mut bytes) {
            Ok(_) => Ok(Some(bytes)),
            Err(source) => Err(Error::Read { path, source }),
        }
    }

    /// Reads the secret in a file. If there is no file, makes a secret and writes it.
    pub(crate) fn keep(&self, relative: &str, make: impl FnOnce() -> Secret) -> Result<SecretFile, Error> {
        let path = self.path(relative);
        let secret = match self.bytes(relative, Access::Private)? {
            // The parts read their secrets in the same way.
            Some(bytes) => {
                Secret::from_line(bytes).map_err(|source| Error::Secret { path: path.clone(), source })?
            }
            None => self.written(relative, make())?,
        };
        Ok(SecretFile { path, secret })
    }

    /// Reads the private key in a PEM file. If there is no file, makes a key and writes it.
    pub(crate) fn keep_pem(&self, relative: &str, make: impl FnOnce() -> Secret) -> Result<Secret, Error> {
        match self.bytes(relative, Access::Private)? {
            Some(bytes) => String::from_utf8(bytes).map(Secret::new).map_err(|_| Error::Read {
                path: self.path(relative),
                source: io::ErrorKind::InvalidData.into(),
            }),
            None => self.written(relative, make()),
        }
    }

    fn written(&self, relative: &str, secret: Secret) -> Result<Secret, Error> {
        self.write(relative, secret.expose().as_bytes())?;
        Ok(secret)
    }
}

/// A secret and the file that it is kept in.
#[derive(Debug)]
pub(crate) struct SecretFile {
    pub(crate) path: PathBuf,
    pub(crate) secret: Secret,
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It cannot be made or opened.
    #[error("cannot use the folder {}", path.display())]
    Open { path: PathBuf, source: io::Error },
    /// Another user can change it, or may have changed it.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// A file in it holds no secret.
    #[error("{}", path.display())]
    Secret {
        path: PathBuf,
        /// What is wrong with it.
        source: Unfit,
    },
    /// Another process holds it.
    #[error("another `floodgate dev` runs in {}; stop it, or choose another --dir", .0.display())]
    InUse(PathBuf),
    /// A file in it cannot be read.
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file in it cannot be written.
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};

    use super::*;

    /// `nobody` on most systems; no user of a test.
    const STRANGER: u32 = 65_534;

    #[test]
    fn secrets_are_kept_and_private() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::open(&temporary.path().join("new")).unwrap();
        let kept = folder.keep("secrets/a", || Secret::new("one")).unwrap();
        assert_eq!(kept.path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let again = folder.keep("secrets/a", || Secret::new("two")).unwrap();
        assert_eq!(again.secret.expose(), "one");
        fs::write(&kept.path, "one\r\n").unwrap();
        assert_eq!(folder.keep("secrets/a", || Secret::new("two")).unwrap().secret.expose(), "one");
        fs::write(&kept.path, "one ").unwrap();
        assert!(matches!(folder.keep("secrets/a", || Secret::new("two")), Err(Error::Secret { .. })));
        fs::set_permissions(&kept.path, Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            folder.keep("secrets/a", || Secret::new("two")),
            Err(Error::Untrusted(Untrusted::Open(_)))
        ));
    }

    #[test]
    fn a_folder_that_others_can_change_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let refused = |root: &Path| matches!(Folder::open(root), Err(Error::Untrusted(_)));
        let (root, inner) = (temporary.path().join("dev"), temporary.path().join("dev/secrets"));
        drop(Folder::open(&root).unwrap());
        for shared in [&inner, &root, &temporary.path().to_owned()] {
            fs::set_permissions(shared, Permissions::from_mode(0o777)).unwrap();
            assert!(refused(&root), "{}", shared.display());
            fs::set_permissions(shared, Permissions::from_mode(0o755)).unwrap();
        }
        drop(Folder::open(&root).unwrap());
        assert_eq!(inner.metadata().unwrap().permissions().mode() & 0o777, 0o700, "nobody looks in any more");
        fs::remove_file(root.join("lock")).unwrap();
        symlink(temporary.path().join("elsewhere"), root.join("lock")).unwrap();
        assert!(refused(&root) && !temporary.path().join("elsewhere").exists());
    }

    #[test]
    fn what_another_user_prepared_is_refused() {
        if trust::own_uid() != 0 {
            return println!("SKIPPED: folders of another user: only root can make them");
        }
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().join("dev");
        let folder = Folder::open(&root).unwrap();
        let token = folder.keep("secrets/admin.token", || Secret::new("one")).unwrap().path;
        drop(folder);
        for theirs in [&token, &root.join("secrets"), &root, &temporary.path().to_owned()] {
            chown(theirs, Some(STRANGER), None).unwrap();
            let refused = Folder::open(&root).unwrap_err().to_string();
            assert!(refused.contains("belongs to another user (uid 65534)"), "{refused}");
            chown(theirs, Some(0), None).unwrap();
        }
        drop(Folder::open(&root).unwrap());
        chown(temporary.path(), Some(STRANGER), None).unwrap();
        assert!(Folder::open(&temporary.path().join("new")).is_err());
        assert!(!temporary.path().join("new").exists(), "nothing is made in a stranger's folder");
    }

    #[test]
    fn one_holder_at_a_time() {
        let temporary = tempfile::tempdir().unwrap();
        let held = Folder::open(temporary.path()).unwrap();
        assert!(matches!(Folder::open(temporary.path()), Err(Error::InUse(_))));
        drop(held);
        assert!(Folder::open(temporary.path()).is_ok());
    }
}
