//! The admin API of the `floodgate dev` that runs in this folder or in one above it, as its ready file says.
//!
//! Whoever writes that file chooses where configuration goes, with the secrets in it. So it must be this user's own and
//! private, which what comes out of an archive or a repository is not, and it must name an address of this machine.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use floodgate_event::Secret;
use serde::Deserialize;
use url::{Host, Url};

/// Where `floodgate dev` writes it unless told otherwise.
const READY_FILE: &str = ".floodgate/dev/ready.json";
/// The largest ready file, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;
/// The right of others to read or change a file.
const OTHERS: u32 = 0o077;

/// What the client needs of the ready file.
#[derive(Deserialize)]
struct Ready {
    admin: Admin,
}

#[derive(Deserialize)]
struct Admin {
    url: Url,
    token: String,
}

/// Address and token, if a deployment runs here.
///
/// # Errors
/// If a ready file is there and cannot be used.
pub(super) fn find() -> Result<Option<(Url, Secret)>, LocalError> {
    // Without a working directory there is nothing above it either.
    let Ok(here) = std::env::current_dir() else { return Ok(None) };
    find_from(&here)
}

fn find_from(folder: &Path) -> Result<Option<(Url, Secret)>, LocalError> {
    for folder in folder.ancestors() {
        let path = folder.join(READY_FILE);
        match File::open(&path) {
            Ok(file) => return read(file, &path).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(LocalError::Read { path, source }),
        }
    }
    Ok(None)
}

fn read(file: File, path: &Path) -> Result<(Url, Secret), LocalError> {
    let unreadable = |source| LocalError::Read { path: path.to_owned(), source };
    if !is_private(&file).map_err(unreadable)? {
        return Err(LocalError::Open(path.to_owned()));
    }
    let mut text = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut text).map_err(unreadable)?;
    // The library's message could quote the token.
    let ready: Ready = serde_json::from_slice(&text).map_err(|_| LocalError::Form(path.to_owned()))?;
    let Admin { url, token } = ready.admin;
    if is_here(&url) { Ok((url, Secret::new(token))) } else { Err(LocalError::Elsewhere(path.to_owned())) }
}

/// Whether it is this user's, who is whoever owns what this process makes, and nobody else has a right to it.
fn is_private(file: &File) -> io::Result<bool> {
    let (file, own) = (file.metadata()?, tempfile::tempfile()?.metadata()?);
    Ok(file.uid() == own.uid() && file.mode() & OTHERS == 0)
}

fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Why a ready file is not used. None quotes the token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocalError {
    #[error("{} cannot be read; set FLOODGATE_API and FLOODGATE_TOKEN to do without it", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is not only this user's to read and write, so it is not used", .0.display())]
    Open(PathBuf),
    #[error("{} is no ready file of `floodgate dev`", .0.display())]
    Form(PathBuf),
    #[error("{} names an admin API on another machine, so it is not used", .0.display())]
    Elsewhere(PathBuf),
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn found(text: &str, mode: u32) -> Result<Option<(Url, Secret)>, LocalError> {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("trim/src");
        let path = folder.path().join(READY_FILE);
        fs::create_dir_all(&below).unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        find_from(&below)
    }

    #[test]
    fn a_ready_file_above_is_used() {
        let text = r#"{"admin": {"url": "http://127.0.0.1:8400", "token": "t"}, "regions": {}}"#;
        let (url, token) = found(text, 0o600).unwrap().unwrap();
        assert_eq!((url.as_str(), token.expose()), ("http://127.0.0.1:8400/", "t"));
        assert!(find_from(tempfile::tempdir().unwrap().path()).unwrap().is_none());
    }

    #[test]
    fn one_that_others_can_reach_or_that_names_another_machine_is_refused() {
        let here = r#"{"admin": {"url": "http://localhost:8400", "token": "t0k"}}"#;
        assert!(matches!(found(here, 0o644), Err(LocalError::Open(_))));
        assert!(matches!(found(here, 0o620), Err(LocalError::Open(_))));
        for elsewhere in ["http://10.0.0.1:8400", "http://localhost.example:8400", "unix:/socket"] {
            let text = here.replace("http://localhost:8400", elsewhere);
            assert!(matches!(found(&text, 0o600), Err(LocalError::Elsewhere(_))), "{elsewhere}");
        }
        let error = found(r#"{"admin": {"token": "t0k"}}"#, 0o600).unwrap_err();
        assert!(matches!(error, LocalError::Form(_)) && !error.to_string().contains("t0k"));
    }
}
