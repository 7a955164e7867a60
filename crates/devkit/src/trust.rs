//! Checks that files and folders are this user's own, in places where no other user can replace them.
//!
//! What another user prepared decides what a program does for whoever runs it there: keys that somebody else
//! knows, a configuration that names commands, a link that a log is appended through.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{getegid, geteuid};
use rustix::fs::OFlags;

/// The rights of the group and of everybody else to change a file.
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
/// In a folder with this bit only the owner of a thing can replace it, whoever else may write there.
const STICKY: u32 = 0o1000;
/// The right of others to read or change a file.
const OTHERS: u32 = 0o077;

/// What other users may do with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing: the file holds a secret.
    Private,
    /// Read the file, and not write it.
    Readable,
}

/// Opens a file of this user's for reading. Returns `None` if there is no file.
///
/// # Errors
/// If it is a link or no ordinary file, belongs to another user, or other users may do more with it than
/// `access` says.
pub fn open(path: &Path, access: Access) -> Result<Option<File>, Untrusted> {
    // Without blocking: a pipe would never open.
    match without_links().read(true).open(path) {
        Ok(file) => {
            check_file(path, &file.metadata().map_err(failed(path))?, access)?;
            Ok(Some(file))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(refused_link(path, error)),
    }
}

/// Opens a file of this user's for appending. Makes a private one if there is none.
///
/// # Errors
/// As [`open`].
pub fn append(path: &Path) -> Result<File, Untrusted> {
    let file = without_links().create(true).append(true).mode(0o600).open(path);
    let file = file.map_err(|error| refused_link(path, error))?;
    check_file(path, &file.metadata().map_err(failed(path))?, Access::Readable)?;
    Ok(file)
}

/// Checks that a folder belongs to this user and that no other user can write to it.
///
/// # Errors
/// If the folder belongs to another user, other users can write to it, or it is no folder.
pub fn check_folder(path: &Path) -> Result<(), Untrusted> {
    check_owner(path, &fs::symlink_metadata(path).map_err(failed(path))?)?;
    let metadata = fs::metadata(path).map_err(failed(path))?;
    check_owner(path, &metadata)?;
    if !metadata.is_dir() {
        return Err(Untrusted::NoFolder(path.to_owned()));
    }
    if others_write(&metadata) { Err(Untrusted::Writable(path.to_owned())) } else { Ok(()) }
}

/// Checks that every entry of a folder belongs to this user; of a link, the link itself. Does not look into
/// subfolders.
///
/// # Errors
/// Names the first entry that does not.
pub fn check_content(folder: &Path) -> Result<(), Untrusted> {
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let entry = entry.map_err(failed(folder))?;
        check_owner(&entry.path(), &entry.metadata().map_err(failed(folder))?)?;
    }
    Ok(())
}

/// Checks that no other user can replace what is, or will be, at this path: every folder above it, and every
/// link on the way, belongs to root, to this user or to an owner of the running program, who could replace
/// the program anyway; and nobody else can write there.
///
/// # Errors
/// Names the folder or link.
pub fn check_path(path: &Path) -> Result<(), Untrusted> {
    let trusted = trusted();
    let path = std::path::absolute(path).map_err(failed(path))?;
    path.ancestors().try_for_each(|part| check_part(part, part == path, &trusted))?;
    // The same without the links, which were checked now.
    let there = path.ancestors().find_map(|part| Some((part, part.canonicalize().ok()?)));
    there.map_or(Ok(()), |(part, real)| {
        real.ancestors().try_for_each(|above| check_part(above, part == path && above == real, &trusted))
    })
}

/// Checks a program that was found by searching: its path as [`check_path`] does, and the file as well.
///
/// # Errors
/// Names the file, folder or link that another user owns or can change.
pub fn check_program(path: &Path) -> Result<(), Untrusted> {
    check_path(path)?;
    let metadata = fs::metadata(path).map_err(failed(path))?;
    if !trusted().contains(&metadata.uid()) {
        return Err(Untrusted::Owner { path: path.to_owned(), uid: metadata.uid() });
    }
    if others_write(&metadata) { Err(Untrusted::Writable(path.to_owned())) } else { Ok(()) }
}

/// Checks a folder or a link on the way, if it exists. The end of the path is checked only if it is a link.
fn check_part(part: &Path, is_end: bool, trusted: &BTreeSet<u32>) -> Result<(), Untrusted> {
    let metadata = match fs::symlink_metadata(part) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(part)(error)),
    };
    if is_end && !metadata.is_symlink() {
        return Ok(());
    }
    if !trusted.contains(&metadata.uid()) {
        return Err(Untrusted::Owner { path: part.to_owned(), uid: metadata.uid() });
    }
    if metadata.is_dir() && metadata.mode() & STICKY == 0 && others_write(&metadata) {
        return Err(Untrusted::Writable(part.to_owned()));
    }
    Ok(())
}

/// Root, this user, and the owners of the running program and of the folders above it, who could replace it.
fn trusted() -> BTreeSet<u32> {
    let program = std::env::current_exe().and_then(|path| path.canonicalize()).unwrap_or_default();
    let owners = program.ancestors().filter_map(|part| Some(fs::symlink_metadata(part).ok()?.uid()));
    owners.chain([0, own_uid()]).collect()
}

/// The effective user id of this process.
pub fn own_uid() -> u32 {
    geteuid().as_raw()
}

fn without_links() -> OpenOptions {
    let mut options = OpenOptions::new();
    // Two of the kernel's flags, both within 31 bits.
    options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    options
}

fn check_file(path: &Path, metadata: &Metadata, access: Access) -> Result<(), Untrusted> {
    check_owner(path, metadata)?;
    if !metadata.is_file() {
        return Err(Untrusted::NoFile(path.to_owned()));
    }
    match access {
        Access::Private if metadata.mode() & OTHERS != 0 => Err(Untrusted::Open(path.to_owned())),
        Access::Readable if others_write(metadata) => Err(Untrusted::Writable(path.to_owned())),
        Access::Private | Access::Readable => Ok(()),
    }
}

fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), Untrusted> {
    let uid = metadata.uid();
    if uid == own_uid() { Ok(()) } else { Err(Untrusted::Owner { path: path.to_owned(), uid }) }
}

/// This user's first group is its own on most systems, and then new files are often the group's to change
/// too.
fn others_write(metadata: &Metadata) -> bool {
    let is_own_group = metadata.gid() == getegid().as_raw();
    metadata.mode() & OTHERS_WRITE != 0 || (metadata.mode() & GROUP_WRITES != 0 && !is_own_group)
}

fn failed(path: &Path) -> impl Fn(io::Error) -> Untrusted {
    move |source| Untrusted::Read { path: path.to_owned(), source }
}

fn refused_link(path: &Path, error: io::Error) -> Untrusted {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => Untrusted::Link(path.to_owned()),
        _ => failed(path)(error),
    }
}

/// Why a file or folder is not used.
#[derive(Debug, thiserror::Error)]
pub enum Untrusted {
    /// The file or folder cannot be opened or inspected.
    #[error("{}", path.display())]
    Read {
        /// The file, folder or link.
        path: PathBuf,
        /// The error of the system call.
        source: io::Error,
    },
    /// It belongs to another user.
    #[error("{} belongs to another user (uid {uid}), who decides what is in it: use a place of your own", path.display())]
    Owner {
        /// The file, folder or link.
        path: PathBuf,
        /// The owner's user id.
        uid: u32,
    },
    /// Other users can write to it.
    #[error("other users can change {}: chmod go-w it if all that is in it is yours, or use another place", .0.display())]
    Writable(PathBuf),
    /// Other users can read it, and it holds a secret.
    #[error("other users can read {}: what is in it may be known to them; remove it, or chmod 600 it", .0.display())]
    Open(PathBuf),
    /// It is a symbolic link, and links are not followed.
    #[error("{} is a symbolic link, which is not followed here", .0.display())]
    Link(PathBuf),
    /// It is not an ordinary file.
    #[error("{} is no ordinary file", .0.display())]
    NoFile(PathBuf),
    /// It is not a folder.
    #[error("{} is no folder", .0.display())]
    NoFolder(PathBuf),
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    /// `nobody` on most systems; no user of a test.
    const STRANGER: u32 = 65_534;

    fn file(folder: &Path, mode: u32) -> PathBuf {
        let path = folder.join("file");
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_file_of_ones_own_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        assert!(open(&folder.path().join("none"), Access::Private).unwrap().is_none());
        let path = file(folder.path(), 0o600);
        assert!(open(&path, Access::Private).unwrap().is_some());
        append(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(open(&path, Access::Readable).unwrap().is_some());
        assert!(matches!(open(&path, Access::Private), Err(Untrusted::Open(_))));
        fs::set_permissions(&path, Permissions::from_mode(0o602)).unwrap();
        assert!(matches!(open(&path, Access::Readable), Err(Untrusted::Writable(_))));
    }

    #[test]
    fn links_and_what_is_no_file_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (file(folder.path(), 0o600), folder.path().join("link"));
        symlink(&path, &link).unwrap();
        assert!(matches!(open(&link, Access::Private), Err(Untrusted::Link(_))));
        assert!(matches!(append(&link), Err(Untrusted::Link(_))));
        assert!(matches!(open(folder.path(), Access::Readable), Err(Untrusted::NoFile(_))));
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_refused_and_so_is_all_below_it() {
        let folder = tempfile::tempdir().unwrap();
        let (shared, inner) = (folder.path().join("shared"), folder.path().join("shared/inner"));
        fs::create_dir_all(&inner).unwrap();
        check_folder(&inner).unwrap();
        check_path(&inner).unwrap();
        fs::set_permissions(&shared, Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(check_folder(&shared), Err(Untrusted::Writable(_))));
        check_folder(&inner).unwrap();
        assert!(matches!(check_path(&inner), Err(Untrusted::Writable(at)) if at == shared));
        assert!(matches!(check_path(&inner.join("not/there/yet")), Err(Untrusted::Writable(_))));
        // As /tmp is.
        fs::set_permissions(&shared, Permissions::from_mode(0o1777)).unwrap();
        check_path(&inner).unwrap();
    }

    #[test]
    fn nothing_of_a_stranger_is_used() {
        if own_uid() != 0 {
            return println!("SKIPPED: files of another user: only root can make them");
        }
        let folder = tempfile::tempdir().unwrap();
        let (theirs, link) = (folder.path().join("theirs"), folder.path().join("link"));
        fs::create_dir(&theirs).unwrap();
        let path = file(&theirs, 0o600);
        chown(&path, Some(STRANGER), None).unwrap();
        assert!(matches!(open(&path, Access::Private), Err(Untrusted::Owner { uid: STRANGER, .. })));
        assert!(matches!(append(&path), Err(Untrusted::Owner { .. })));
        assert!(matches!(check_content(&theirs), Err(Untrusted::Owner { .. })));
        assert!(matches!(check_program(&path), Err(Untrusted::Owner { .. })));
        chown(&theirs, Some(STRANGER), None).unwrap();
        assert!(matches!(check_folder(&theirs), Err(Untrusted::Owner { .. })));
        assert!(matches!(check_path(&theirs.join("mine")), Err(Untrusted::Owner { .. })));
        fs::create_dir(folder.path().join("mine")).unwrap();
        symlink(folder.path().join("mine"), &link).unwrap();
        check_path(&link).unwrap();
        std::os::unix::fs::lchown(&link, Some(STRANGER), None).unwrap();
        assert!(matches!(check_path(&link), Err(Untrusted::Owner { .. })), "who made the link can turn it");
        assert!(matches!(check_folder(&link), Err(Untrusted::Owner { .. })));
    }
}
