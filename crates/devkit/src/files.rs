//! Writes files atomically and with the right permissions, and reads small files.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use tempfile::NamedTempFile;

/// Who may read a file besides its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Only the owner (mode 0600).
    Nobody,
    /// Every user of the machine (mode 0644).
    Everybody,
}

/// Writes or replaces a file, all of it or nothing. The contents are synced to disk before they take the
/// name: if a key were lost after it was used, everything sealed to it would be lost too.
///
/// # Errors
/// If the folder does not exist or a write fails; the file is then as it was.
pub fn write(path: &Path, contents: &[u8], readers: Readers) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // `tempfile` makes its files with mode 0600.
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(contents)?;
    if readers == Readers::Everybody {
        file.as_file().set_permissions(Permissions::from_mode(0o644))?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Reads a file of at most `most` bytes.
///
/// # Errors
/// If the file cannot be read, or is larger (`FileTooLarge`); at most one byte more than `most` is read.
pub fn read_at_most(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if read as u64 > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {most} bytes")));
    }
    Ok(bytes)
}

/// Reads a text file. Returns `None` if there is no file.
///
/// # Errors
/// If the file cannot be read or is not UTF-8.
pub fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes a folder, and those above it, with mode 0700. A folder that exists keeps its mode.
///
/// # Errors
/// If a folder cannot be made.
pub fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}
