//! Files with keys. Those that exist are read, and the others are made and recorded.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use floodgate_event::Secret;
use floodgate_event::secret::Unfit;

use floodgate_devkit::files::{self, Readers};

/// Reads and makes files with keys, and records those that it made.
#[derive(Debug, Default)]
pub(super) struct KeyFiles(Vec<PathBuf>);

impl KeyFiles {
    /// Returns the secret in a file. If there is no file, makes a secret.
    pub(super) fn secret(
        &mut self,
        path: &Path,
        make: impl FnOnce() -> Result<Secret, KeyError>,
    ) -> Result<Secret, KeyError> {
        if let Some(text) = read(path)? {
            return Ok(Secret::new(text));
        }
        let secret = make()?;
        self.write(path, secret.expose(), Readers::Nobody)?;
        Ok(secret)
    }

    /// The same for a secret of one line, which is read in the same way as the programs read it.
    pub(super) fn line(
        &mut self,
        path: &Path,
        make: impl FnOnce() -> Result<Secret, KeyError>,
    ) -> Result<Secret, KeyError> {
        let text = self.secret(path, make)?;
        Secret::from_line(text.expose().into())
            .map_err(|source| KeyError::Unfit { path: path.to_owned(), source })
    }

    /// Writes the public half beside a private key, unless it is there. The public half of another key is
    /// replaced only if this private key was just made: servers may know the existing public half, and
    /// another user may have its private half.
    pub(super) fn public(&mut self, private: &Path, text: impl fmt::Display) -> Result<(), KeyError> {
        let (path, text) = (public_path(private), text.to_string());
        match read(&path)? {
            Some(there) if there.trim() == text => Ok(()),
            Some(_) if !self.0.iter().any(|made| made == private) => {
                Err(KeyError::Pair { private: private.to_owned(), public: path })
            }
            _ => self.write(&path, &format!("{text}\n"), Readers::Everybody),
        }
    }

    /// Writes a file, over an existing one, and records that it was made.
    pub(super) fn write(&mut self, path: &Path, text: &str, readers: Readers) -> Result<(), KeyError> {
        let written = || {
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                files::private_folder(folder)?;
            }
            files::write(path, text.as_bytes(), readers)
        };
        written().map_err(|source| KeyError::Write { path: path.to_owned(), source })?;
        self.0.push(path.to_owned());
        Ok(())
    }

    /// The files that were made, in order.
    pub(super) fn made(self) -> Vec<PathBuf> {
        self.0
    }
}

/// Returns the text of a file, or none if there is no file.
pub(super) fn read(path: &Path) -> Result<Option<String>, KeyError> {
    files::read(path).map_err(|source| KeyError::Read { path: path.to_owned(), source })
}

/// Returns the path of the public half: `FILE.pub` for `FILE`.
fn public_path(private: &Path) -> PathBuf {
    with_suffix(private, ".pub")
}

/// Appends text to a path.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(suffix);
    text.into()
}

/// Why a key cannot be read or made. Says nothing of a file's content.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// A file holds no secret, or one with an invisible character.
    #[error("{}", path.display())]
    Unfit { path: PathBuf, source: Unfit },
    /// A file holds something else.
    #[error("{}: expected {expected}", path.display())]
    Unusable { path: PathBuf, expected: &'static str },
    /// The two halves are of different keys.
    #[error("{} is not the public half of {}: put back what fits, or delete one of them", public.display(), private.display())]
    Pair { private: PathBuf, public: PathBuf },
    /// The authority lacks its certificate or its key.
    #[error("{} is there and {} is not: put it back, or begin with a new folder", there.display(), missing.display())]
    Half { there: PathBuf, missing: PathBuf },
    /// The folder has no authority.
    #[error("there is no authority in {}; `floodgate keys ca` makes one", .0.display())]
    NoAuthority(PathBuf),
    /// The name is neither a host name nor an address.
    #[error("`{0}` is neither a DNS name nor an IP address")]
    Name(String),
    /// A key or a certificate could not be made.
    #[error("cannot make it")]
    Make(#[from] rcgen::Error),
    /// An nkey could not be made.
    #[error("cannot make the nkey")]
    Nkey(#[from] nkeys::error::Error),
}
