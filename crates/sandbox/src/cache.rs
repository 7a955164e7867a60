//! Keeps compiled handlers on disk, so that a gateway that starts again can serve at once.
//!
//! Each entry is a file. Its name is a hash of the component and the engine, and it begins with an
//! HMAC-SHA256 over both and the code. Machine code runs unchecked, so a file without a MAC of this gateway's
//! key is not looked at, let alone run.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use floodgate_event::Digest256;
use floodgate_event::seal::OpeningKey;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use tempfile::Builder;
use tracing::warn;

use crate::code::{self, Code};

/// The label that the MAC's key is derived with. It gets a new number if the form of the files changes.
const LABEL: &[u8] = b"floodgate/handler-cache/v1";
/// How many bytes the MAC at the beginning of a file has.
const MAC_BYTES: usize = 32;
/// The suffix of the cache's files. Other files in the folder are left alone.
const SUFFIX: &str = ".handler";

/// A folder of compiled handlers. Only files with a MAC of this gateway's key are used.
pub struct Cache {
    folder: PathBuf,
    most_bytes: u64,
    mac: Hmac<Sha256>,
}

/// Identifies compiled code: the component that it was made from, and the engine that it was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) component: Digest256,
    pub(crate) engine: Digest256,
}

impl Entry {
    fn name(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.component.as_bytes());
        hash.update(self.engine.as_bytes());
        format!("{}{SUFFIX}", Digest256::from_bytes(hash.finalize().into()))
    }
}

impl Cache {
    /// Opens the folder. If it does not exist, creates it for its owner alone. The MAC's key is derived from
    /// the gateway's own key, so that neither another region nor a guest can make a valid file.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn open(folder: &Path, most_bytes: u64, key: &OpeningKey) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let secret = key.to_text();
        let derived = keyed(secret.expose().as_bytes()).chain_update(LABEL).finalize().into_bytes();
        Ok(Self { folder: folder.to_owned(), most_bytes, mac: keyed(&derived) })
    }

    /// Returns the code of an entry. A file that does not match its MAC is logged and removed. Blocks.
    pub(crate) fn get(&self, entry: &Entry) -> Option<Code> {
        let path = self.folder.join(entry.name());
        match read(&path) {
            Ok(bytes) => self.verified(entry, bytes, &path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                warn!(%error, path = %path.display(), "a compiled handler cannot be read; it is compiled anew");
                None
            }
        }
    }

    fn verified(&self, entry: &Entry, mut file: Vec<u8>, path: &Path) -> Option<Code> {
        let found = file.split_at_checked(MAC_BYTES).is_some_and(|(tag, code)| {
            // In constant time, and before anything else looks at the code.
            self.mac_of(entry, code).verify_slice(tag).is_ok()
        });
        if !found {
            warn!(path = %path.display(), "a compiled handler was altered; it is removed and compiled anew");
            self.remove(entry);
            return None;
        }
        touch(path);
        file.drain(..MAC_BYTES);
        Some(Code::authenticated(file))
    }

    /// Removes an entry. Blocks.
    pub(crate) fn remove(&self, entry: &Entry) {
        let path = self.folder.join(entry.name());
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            warn!(%error, path = %path.display(), "a compiled handler cannot be removed");
        }
    }

    /// Writes code, all of it or nothing, and then removes old files if the cache is too large. Blocks.
    ///
    /// # Errors
    /// If the file cannot be written. An earlier file of the entry then stays.
    pub(crate) fn put(&self, entry: &Entry, code: &Code) -> io::Result<()> {
        let tag = self.mac_of(entry, code.as_bytes()).finalize().into_bytes();
        // `tempfile` makes its files with mode 0600, and removes those that were not finished.
        let mut file = Builder::new().suffix(SUFFIX).tempfile_in(&self.folder)?;
        file.write_all(&tag)?;
        file.write_all(code.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(self.folder.join(entry.name())).map_err(|error| error.error)?;
        File::open(&self.folder)?.sync_all()?;
        self.evict()
    }

    /// Removes the files that were not used for the longest time until the rest fits. This includes files of
    /// a process that was killed while it wrote them.
    fn evict(&self) -> io::Result<()> {
        let mut files = files(&self.folder)?;
        files.sort_by_key(|file| file.used);
        let mut bytes: u64 = files.iter().map(|file| file.bytes).sum();
        for file in &files {
            if bytes <= self.most_bytes {
                break;
            }
            match fs::remove_file(&file.path) {
                // Another process has removed it first.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed?,
            }
            bytes -= file.bytes;
        }
        Ok(())
    }

    fn mac_of(&self, entry: &Entry, code: &[u8]) -> Hmac<Sha256> {
        // Both digests have a fixed length, so no other pair has the same bytes.
        let mac = self.mac.clone().chain_update(entry.component.as_bytes());
        mac.chain_update(entry.engine.as_bytes()).chain_update(code)
    }
}

/// A file of the cache.
struct CachedFile {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

fn files(folder: &Path) -> io::Result<Vec<CachedFile>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // If a file disappears meanwhile, another process that shares the folder has removed it.
        if path.to_string_lossy().ends_with(SUFFIX)
            && let Ok(metadata) = path.symlink_metadata()
            && metadata.is_file()
        {
            files.push(CachedFile { bytes: metadata.len(), used: metadata.modified()?, path });
        }
    }
    Ok(files)
}

/// Reads at most as many bytes as code may have.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = (code::MAX_BYTES + MAC_BYTES) as u64;
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Records that a file was used. If this fails, the file is only removed sooner.
fn touch(path: &Path) {
    let now = File::options().append(true).open(path).and_then(|file| file.set_modified(SystemTime::now()));
    if let Err(error) = now {
        tracing::debug!(%error, path = %path.display(), "the time of use cannot be noted");
    }
}

/// HMAC takes keys of any length.
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    #[allow(clippy::expect_used)]
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("folder", &self.folder).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use super::*;

    fn entry(number: u8) -> Entry {
        Entry { component: Digest256::from_bytes([number; 32]), engine: Digest256::from_bytes([9; 32]) }
    }

    fn code(bytes: &[u8]) -> Code {
        Code::of_compiler(bytes.to_vec())
    }

    fn open(folder: &Path, most: u64, key: &OpeningKey) -> Cache {
        Cache::open(&folder.join("cache"), most, key).unwrap()
    }

    fn found(cache: &Cache, entry: &Entry) -> Option<Vec<u8>> {
        cache.get(entry).map(|code| code.as_bytes().to_vec())
    }

    #[test]
    fn what_was_put_is_found_again_and_private() {
        let (folder, key) = (tempfile::tempdir().unwrap(), OpeningKey::generate());
        open(folder.path(), 1 << 20, &key).put(&entry(1), &code(b"machine code")).unwrap();
        let again = open(folder.path(), 1 << 20, &key);
        assert_eq!(found(&again, &entry(1)).as_deref(), Some(&b"machine code"[..]));
        assert_eq!(found(&again, &entry(2)), None);
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&again.folder), 0o700);
        assert_eq!(mode(&again.folder.join(entry(1).name())), 0o600);
    }

    /// Puts an entry, changes its file, and returns what the cache then finds.
    fn after(change: impl FnOnce(&Path)) -> Option<Vec<u8>> {
        let (folder, key) = (tempfile::tempdir().unwrap(), OpeningKey::generate());
        let cache = open(folder.path(), 1 << 20, &key);
        cache.put(&entry(1), &code(b"machine code")).unwrap();
        let path = cache.folder.join(entry(1).name());
        change(&path);
        let first = found(&cache, &entry(1));
        assert!(first.is_some() || !path.exists(), "what is not believed is removed");
        first
    }

    #[test]
    fn what_was_altered_cut_or_lengthened_is_removed() {
        let rewrite = |change: fn(&mut Vec<u8>)| {
            after(|path| {
                let mut bytes = fs::read(path).unwrap();
                change(&mut bytes);
                fs::write(path, bytes).unwrap();
            })
        };
        assert!(rewrite(|_| {}).is_some());
        assert_eq!(rewrite(|bytes| bytes[40] ^= 1), None);
        assert_eq!(rewrite(|bytes| bytes[0] ^= 1), None);
        assert_eq!(rewrite(|bytes| bytes.truncate(40)), None);
        assert_eq!(rewrite(|bytes| bytes.truncate(5)), None);
        assert_eq!(rewrite(Vec::clear), None);
        assert_eq!(rewrite(|bytes| bytes.push(0)), None);
    }

    #[test]
    fn code_of_another_key_component_or_engine_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let key = OpeningKey::generate();
        let cache = open(folder.path(), 1 << 20, &key);
        let path = |entry: &Entry| cache.folder.join(entry.name());
        let other_engine = Entry { engine: Digest256::from_bytes([8; 32]), ..entry(1) };
        for moved in [entry(2), other_engine] {
            cache.put(&entry(1), &code(b"machine code")).unwrap();
            fs::rename(path(&entry(1)), path(&moved)).unwrap();
            assert_eq!(found(&cache, &moved), None);
        }
        cache.put(&entry(1), &code(b"machine code")).unwrap();
        let stranger = open(folder.path(), 1 << 20, &OpeningKey::generate());
        assert_eq!(found(&stranger, &entry(1)), None);
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let (folder, key) = (tempfile::tempdir().unwrap(), OpeningKey::generate());
        let cache = open(folder.path(), 3_000, &key);
        fs::write(cache.folder.join("notes"), vec![0; 9_000]).unwrap();
        for (number, age) in [(1, 300), (2, 200)] {
            cache.put(&entry(number), &code(&[0; 1_000])).unwrap();
            let file = File::options().append(true).open(cache.folder.join(entry(number).name())).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        assert!(found(&cache, &entry(1)).is_some(), "used now");
        cache.put(&entry(3), &code(&[0; 1_000])).unwrap();
        let kept = [1, 2, 3].map(|number| found(&cache, &entry(number)).is_some());
        assert_eq!(kept, [true, false, true]);
        assert!(cache.folder.join("notes").exists(), "not a file of the cache");
    }
}
