//! Files of keys: read if they are there, made if not, and noted.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use floodgate_event::Secret;
use floodgate_event::secret::Unfit;

use floodgate_devkit::files::{self, Readers};

/// What was made so far.
#[derive(Debug, Default)]
pub(super) struct Kept(Vec<PathBuf>);

impl Kept {
    /// The secret in a file; made if there is none.
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

    /// The same of a secret that is one line, as the programs that use it read it.
    pub(super) fn line(
        &mut self,
        path: &Path,
        make: impl FnOnce() -> Result<Secret, KeyError>,
    ) -> Result<Secret, KeyError> {
        let text = self.secret(path, make)?;
        Secret::from_line(text.expose().into())
            .map_err(|source| KeyError::Unfit { path: path.to_owned(), source })
    }

    /// Puts the public half beside a private one, unless it is there.
    /// That of another private one is replaced only if this private one was just made:
    /// servers may know what stands there, and nobody else has what fits it.
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

    /// Replaces a file.
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

/// A file's text, or nothing if there is none.
pub(super) fn read(path: &Path) -> Result<Option<String>, KeyError> {
    files::read(path).map_err(|source| KeyError::Read { path: path.to_owned(), source })
}

/// `FILE.pub` beside `FILE`.
fn public_path(private: &Path) -> PathBuf {
    with_suffix(private, ".pub")
}

/// A path with something behind its last character.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(suffix);
    text.into()
}

/// Why there is no key. Says nothing of what is in a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// A file that cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that holds no secret, or one with something in it that cannot be seen.
    #[error("{}", path.display())]
    Unfit {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: Unfit,
    },
    /// A file that holds something else.
    #[error("{}: expected {expected}", path.display())]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// Two halves of different keys.
    #[error("{} is not the public half of {}: put back what fits, or delete one of them", public.display(), private.display())]
    Pair {
        /// The private half.
        private: PathBuf,
        /// What should be its public half.
        public: PathBuf,
    },
    /// An authority without a certificate or without its key.
    #[error("{} is there and {} is not: put it back, or begin with a new folder", there.display(), missing.display())]
    Half {
        /// What is there.
        there: PathBuf,
        /// What is not.
        missing: PathBuf,
    },
    /// No authority.
    #[error("there is no authority in {}; `floodgate keys ca` makes one", .0.display())]
    NoAuthority(PathBuf),
    /// Neither a host's name nor an address.
    #[error("`{0}` is neither a DNS name nor an IP address")]
    Name(String),
    /// A key or a certificate could not be made.
    #[error("cannot make it")]
    Make(#[from] rcgen::Error),
    /// An nkey could not be made.
    #[error("cannot make the nkey")]
    Nkey(#[from] nkeys::error::Error),
}
