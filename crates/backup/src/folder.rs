//! The folder of a backup. It is written under another name beside the final one, and renamed once all of it
//! is on disk. Before a restore uses anything of it, every file is compared with its SHA-256.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use floodgate_event::Digest256;
use sha2::{Digest, Sha256};

use super::Error;
use super::manifest::{FILE, FORMAT, Manifest, Stream};

/// The largest manifest that is read, in bytes.
const MAX_MANIFEST: u64 = 16 * 1024 * 1024;
/// Bytes that are read at once for a digest.
const READ_BYTES: usize = 1024 * 1024;

/// A folder that is not complete. It is removed if it is dropped before.
pub(super) struct Unfinished {
    here: PathBuf,
    target: PathBuf,
}

impl Unfinished {
    /// Makes a folder beside `target`. Only its owner can read it, because it holds events and sealed
    /// secrets.
    pub(super) fn make(target: &Path) -> Result<Self, Error> {
        if target.symlink_metadata().is_ok() {
            return Err(Error::Exists(target.to_owned()));
        }
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(format!(".unfinished-{}", std::process::id()));
        let here = target.with_file_name(name);
        DirBuilder::new().mode(0o700).create(&here).map_err(|error| disk(&here, error))?;
        Ok(Self { here, target: target.to_owned() })
    }

    /// Makes a file in the folder.
    pub(super) fn file(&self, name: &str) -> Result<File, Error> {
        let path = self.here.join(name);
        let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        made.map_err(|error| disk(&path, error))
    }

    /// The path of a file in the folder, for errors.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.here.join(name)
    }

    /// Writes the manifest and gives the folder its name.
    pub(super) fn complete(self, manifest: &Manifest) -> Result<(), Error> {
        let text =
            serde_json::to_vec_pretty(manifest).map_err(|error| disk(&self.path(FILE), error.into()))?;
        let mut file = self.file(FILE)?;
        file.write_all(&text)
            .and_then(|()| file.sync_all())
            .map_err(|error| disk(&self.path(FILE), error))?;
        sync_folder(&self.here)?;
        // This would replace an empty folder of the name, and fails for one with files in it.
        fs::rename(&self.here, &self.target).map_err(|error| disk(&self.target, error))?;
        sync_folder(parent(&self.target))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After `complete` there is nothing of this name.
        let _ = fs::remove_dir_all(&self.here);
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| disk(folder, error))
}

pub(super) fn disk(path: &Path, source: io::Error) -> Error {
    Error::Disk { path: path.to_owned(), source }
}

/// Reads the manifest of a backup, and checks its format.
pub(super) fn read(folder: &Path) -> Result<Manifest, Error> {
    let path = folder.join(FILE);
    let mut text = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(MAX_MANIFEST).read_to_end(&mut text));
    read.map_err(|error| disk(&path, error))?;
    let refuse = |reason: String| Error::Manifest { path: path.clone(), reason };
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| refuse(error.to_string()))?;
    if manifest.format != FORMAT {
        return Err(refuse(format!(
            "it has the format {}, and this version reads {FORMAT}",
            manifest.format
        )));
    }
    match manifest.streams.iter().find(|stream| !is_plain(&stream.file)) {
        Some(stream) => Err(refuse(format!("`{}` is no file of the folder", stream.file))),
        None => Ok(manifest),
    }
}

/// Returns true if a file's name stays within the folder.
fn is_plain(file: &str) -> bool {
    !file.is_empty() && !file.starts_with('.') && !file.contains(['/', '\\'])
}

/// Compares a file of the backup with its digest. A restore does so for every file before it changes
/// anything.
pub(super) fn verify(folder: &Path, stream: &Stream) -> Result<(), Error> {
    let path = folder.join(&stream.file);
    let found = digest(&path).map_err(|error| disk(&path, error))?;
    if found == stream.sha256 { Ok(()) } else { Err(Error::Damaged(path)) }
}

fn digest(path: &Path) -> io::Result<Digest256> {
    let (mut file, mut hasher) = (File::open(path)?, Sha256::new());
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Digest256::from_bytes(hasher.finalize().into())),
            read => hasher.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::super::manifest::Server;
    use super::*;
    use floodgate_event::ShardCount;

    fn manifest(file: &str, sha256: Digest256) -> Manifest {
        let now = OffsetDateTime::now_utc();
        let stream = Stream {
            name: "EVENTS_0".into(),
            file: file.into(),
            bytes: 3,
            sha256,
            messages: 1,
            first_sequence: 1,
            last_sequence: 1,
            created_us: 1,
            config: serde_json::json!({}),
            state: serde_json::json!({}),
        };
        let server = Server { name: "n".into(), version: "2.15.1".into() };
        Manifest {
            format: FORMAT,
            made_by: "test".into(),
            started_at: now,
            finished_at: now,
            region: None,
            shards: ShardCount::ONE,
            server,
            streams: vec![stream],
        }
    }

    fn write(target: &Path, file: &str, format: u32) {
        let folder = Unfinished::make(target).unwrap();
        folder.file("EVENTS_0.snapshot").unwrap().write_all(b"abc").unwrap();
        let manifest = Manifest { format, ..manifest(file, Digest256::of(b"abc")) };
        assert!(!target.exists(), "nothing has the name before all of it is there");
        folder.complete(&manifest).unwrap();
    }

    #[test]
    fn a_folder_is_whole_or_not_there() {
        let scratch = tempfile::tempdir().unwrap();
        let target = scratch.path().join("backup");
        drop(Unfinished::make(&target).unwrap());
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0, "an unfinished one is removed");
        write(&target, "EVENTS_0.snapshot", FORMAT);
        assert!(matches!(Unfinished::make(&target), Err(Error::Exists(_))));
        verify(&target, &read(&target).unwrap().streams[0]).unwrap();
    }

    #[test]
    fn what_is_damaged_or_foreign_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let target = scratch.path().join("damaged");
        write(&target, "EVENTS_0.snapshot", FORMAT);
        fs::write(target.join("EVENTS_0.snapshot"), b"abd").unwrap();
        let manifest = read(&target).unwrap();
        assert!(matches!(verify(&target, &manifest.streams[0]), Err(Error::Damaged(_))));
        for (name, file, format) in [("later", "a", FORMAT + 1), ("outside", "../a", FORMAT)] {
            let target = scratch.path().join(name);
            write(&target, file, format);
            assert!(matches!(read(&target), Err(Error::Manifest { .. })), "{name}");
        }
    }
}
