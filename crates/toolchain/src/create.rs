//! Starts a handler: writes a folder from the templates of a language, with fixtures, a binding to a source
//! of its own and a fresh signing key for that source.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use floodgate_event::{Name, Secret};

use crate::language::Language;
use crate::{sdk, template};

/// Bytes of a new source's key.
const KEY_BYTES: usize = 32;

/// Writes the folder of a new handler, called `name`, into the current folder. A handler in Rust depends on
/// the crate in the folder `sdk`, or on a copy of this program's SDK beside it where `sdk` is `None`.
///
/// # Errors
/// If the folder exists, `sdk` is given for another language than Rust or has no crate, or the write fails.
pub fn create(name: &Name, language: Language, sdk: Option<&Path>) -> Result<(), Error> {
    let folder = Path::new(name.as_str());
    if folder.exists() {
        return Err(Error::Exists(folder.to_owned()));
    }
    if sdk.is_some() && language != Language::Rust {
        return Err(Error::SdkWithoutRust);
    }
    let dependency = dependency(sdk)?;
    let copy = (language == Language::Rust && sdk.is_none()).then(sdk::files);
    for (path, text) in template::files(language).chain(copy.into_iter().flatten()) {
        let text = text.replace("{{name}}", name).replace("{{sdk}}", &dependency);
        let text = text.replace("{{version}}", env!("CARGO_PKG_VERSION"));
        write(&folder.join(path), &text)?;
    }
    Ok(write_secret(&folder.join("source.secret"), &new_secret())?)
}

/// The SDK's place as `Cargo.toml` writes it.
fn dependency(sdk: Option<&Path>) -> Result<String, Error> {
    let Some(folder) = sdk else {
        return Ok("path = \"sdk\"".to_owned());
    };
    let missing = |source| Error::NoSdk { folder: folder.to_owned(), source };
    let folder = folder.join("Cargo.toml").canonicalize().map_err(missing)?;
    // A file's path has a parent. A Rust string literal is one of TOML too, but for
    // escapes that paths don't need.
    Ok(format!("path = {:?}", folder.parent().unwrap_or(&folder)))
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

/// A key as Standard Webhooks writes it.
fn new_secret() -> Secret {
    Secret::new(format!("whsec_{}", BASE64.encode(rand::random::<[u8; KEY_BYTES]>())))
}

/// Only the owner can read the file.
fn write_secret(path: &Path, secret: &Secret) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{}", secret.expose())
}

/// Why a handler's folder was not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder of the handler's name exists.
    #[error("{} exists", .0.display())]
    Exists(PathBuf),
    /// The SDK's folder was named for a language that does not use it.
    #[error("--sdk is for handlers in Rust")]
    SdkWithoutRust,
    /// The folder that was named for the SDK has no `Cargo.toml`.
    #[error("{}: {source}", folder.display())]
    NoSdk {
        /// The folder that was named.
        folder: PathBuf,
        /// Why its `Cargo.toml` cannot be reached.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] io::Error),
}

impl Error {
    /// Returns true if the request is wrong, and false if the write failed.
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::Write(_))
    }
}
