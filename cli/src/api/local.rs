//! Finds the admin API of the `floodgate dev` that runs in this folder or in one above it, from its ready
//! file.
//!
//! Whoever writes that file chooses where the configuration goes, with the secrets in it. So the file must be
//! this user's own and private, in a place where no other user can put another one. The address in it must be
//! one of this machine at which a process of this user listens. A file from an archive passes the first
//! check. So does a file that a killed deployment left behind, although any user may have its port by now.
//! Neither passes the second.

mod listener;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use floodgate_event::Secret;
use floodgate_event::secret::Unfit;
use serde::Deserialize;
use url::{Host, Url};

use floodgate_devkit::trust::{self, Access, Untrusted};

/// Where `floodgate dev` writes the file by default.
const READY_FILE: &str = ".floodgate/dev/ready.json";
/// The largest ready file, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// The fields of the ready file that the client needs.
#[derive(Deserialize)]
struct Ready {
    admin: Admin,
}

#[derive(Deserialize)]
struct Admin {
    url: Url,
    token: String,
}

/// Returns address and token, if a deployment runs here.
///
/// # Errors
/// If a ready file exists and cannot be used.
pub(super) fn find() -> Result<Option<(Url, Secret)>, LocalError> {
    // Without a working directory there is no folder above it either.
    let Ok(here) = std::env::current_dir() else { return Ok(None) };
    find_from(&here)
}

fn find_from(folder: &Path) -> Result<Option<(Url, Secret)>, LocalError> {
    for folder in folder.ancestors() {
        let path = folder.join(READY_FILE);
        if let Some(file) = trust::open(&path, Access::Private)? {
            trust::check_path(&path)?;
            return read(file, &path).map(Some);
        }
    }
    Ok(None)
}

fn read(file: File, path: &Path) -> Result<(Url, Secret), LocalError> {
    let unreadable = |source| LocalError::Read { path: path.to_owned(), source };
    let mut text = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut text).map_err(unreadable)?;
    // The library's message could quote the token.
    let ready: Ready = serde_json::from_slice(&text).map_err(|_| LocalError::Form(path.to_owned()))?;
    let Admin { url, token } = ready.admin;
    let token = Secret::token_from_line(token.into_bytes())
        .map_err(|source| LocalError::Token { path: path.to_owned(), source })?;
    if !is_here(&url) {
        return Err(LocalError::Elsewhere(path.to_owned()));
    }
    check_listener(&url, path)?;
    Ok((url, token))
}

/// Returns true if the process that listens there belongs to this user.
fn check_listener(url: &Url, path: &Path) -> Result<(), LocalError> {
    let port = url.port_or_known_default().unwrap_or_default();
    let owners = listener::owners(port).map_err(LocalError::Listeners)?;
    if owners.is_empty() {
        return Err(LocalError::Gone { path: path.to_owned(), port });
    }
    match owners.into_iter().find(|&uid| uid != trust::own_uid()) {
        Some(uid) => Err(LocalError::Stranger { path: path.to_owned(), port, uid }),
        None => Ok(()),
    }
}

fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Why a ready file is not used. No error quotes the token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocalError {
    #[error("{} cannot be read; set FLOODGATE_API and FLOODGATE_TOKEN to do without it", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "the deployment that is said to run here is not used; set FLOODGATE_API and FLOODGATE_TOKEN to do without it"
    )]
    Untrusted(#[from] Untrusted),
    #[error("{}", path.display())]
    Token { path: PathBuf, source: Unfit },
    #[error("cannot find out whose process listens at the address of the ready file")]
    Listeners(#[source] io::Error),
    #[error("{} is of a deployment that is gone: nothing listens on port {port}; start `floodgate dev`", path.display())]
    Gone { path: PathBuf, port: u16 },
    #[error("{} names port {port}, where a process of another user (uid {uid}) listens, so it is not used", path.display())]
    Stranger { path: PathBuf, port: u16, uid: u32 },
    #[error("{} is no ready file of `floodgate dev`", .0.display())]
    Form(PathBuf),
    #[error("{} names an admin API on another machine, so it is not used", .0.display())]
    Elsewhere(PathBuf),
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::net::TcpListener;
    use std::os::unix::fs::{PermissionsExt, symlink};

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
    fn a_ready_file_above_is_used_while_its_deployment_runs() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let text = format!(r#"{{"admin": {{"url": "http://{address}", "token": "t"}}, "regions": {{}}}}"#);
        let (url, token) = found(&text, 0o600).unwrap().unwrap();
        assert_eq!((url.as_str(), token.expose()), (&*format!("http://{address}/"), "t"));
        assert!(find_from(tempfile::tempdir().unwrap().path()).unwrap().is_none());
        drop(listener);
        assert!(
            matches!(found(&text, 0o600), Err(LocalError::Gone { .. })),
            "its port may be anybody's by now"
        );
    }

    #[test]
    fn one_that_is_a_link_or_in_a_folder_of_everybody_s_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (dev, elsewhere) = (folder.path().join(".floodgate/dev"), folder.path().join("elsewhere"));
        fs::create_dir_all(&dev).unwrap();
        fs::write(&elsewhere, "{}").unwrap();
        fs::set_permissions(&elsewhere, Permissions::from_mode(0o600)).unwrap();
        symlink(&elsewhere, dev.join("ready.json")).unwrap();
        assert!(matches!(find_from(folder.path()), Err(LocalError::Untrusted(Untrusted::Link(_)))));
        fs::rename(&elsewhere, dev.join("ready.json")).unwrap();
        assert!(matches!(find_from(folder.path()), Err(LocalError::Form(_))), "it is looked into");
        fs::set_permissions(&dev, Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(find_from(folder.path()), Err(LocalError::Untrusted(Untrusted::Writable(_)))));
    }

    #[test]
    fn one_that_others_can_reach_or_that_names_another_machine_is_refused() {
        let here = r#"{"admin": {"url": "http://localhost:8400", "token": "t0k"}}"#;
        assert!(matches!(found(here, 0o644), Err(LocalError::Untrusted(Untrusted::Open(_)))));
        assert!(matches!(found(here, 0o620), Err(LocalError::Untrusted(Untrusted::Open(_)))));
        for elsewhere in ["http://10.0.0.1:8400", "http://localhost.example:8400", "unix:/socket"] {
            let text = here.replace("http://localhost:8400", elsewhere);
            assert!(matches!(found(&text, 0o600), Err(LocalError::Elsewhere(_))), "{elsewhere}");
        }
        let error = found(r#"{"admin": {"token": "t0k"}}"#, 0o600).unwrap_err();
        assert!(matches!(error, LocalError::Form(_)) && !error.to_string().contains("t0k"));
    }
}
