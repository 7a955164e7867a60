//! What `floodgate source` reads: files of a bounded size, whoever wrote them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use floodgate_api::document::VerifyDocument;
use floodgate_event::scheme::Settings;
use floodgate_event::{Secret, secret, time};
use floodgate_schemes::{NamedSecret, Preset, PublishedKeys, Secrets};

use super::saved::{self, Saved};

/// The longest file of a request, of vectors or of settings, in bytes.
const MAX_FILE_BYTES: u64 = 8 << 20;
/// The longest file of a secret, in bytes.
const MAX_SECRET_BYTES: u64 = Settings::MAX_KEY_BYTES as u64;

/// Why a file cannot be used. No message quotes a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: over {most} bytes", path.display())]
    TooLong { path: PathBuf, most: u64 },
    #[error("{}: not text in UTF-8", path.display())]
    NotText { path: PathBuf },
    #[error("{}: {source}", path.display())]
    Secret { path: PathBuf, source: secret::Unfit },
    #[error("{}: {source}", path.display())]
    Request { path: PathBuf, source: saved::Unreadable },
    #[error("{}: not the settings of a source, at line {line}, column {column}: {what}", path.display())]
    Settings { path: PathBuf, line: usize, column: usize, what: String },
    #[error("{} secrets, and a source has at most {}", .0, VerifyDocument::MAX_SECRETS)]
    TooManySecrets(usize),
}

/// How the request came.
#[derive(clap::Args)]
pub(super) struct RequestArgs {
    /// Take the body from this file, and only the head from the file of the request
    #[arg(long, value_name = "FILE")]
    pub(super) body: Option<PathBuf>,
    /// The URL that the provider was given. Without it, `https`, the header Host and the request line make
    /// one
    #[arg(long)]
    pub(super) url: Option<String>,
    /// Verify as if it were this time; now if left out
    #[arg(long, value_name = "UNIX_SECONDS")]
    pub(super) at: Option<u64>,
}

impl RequestArgs {
    /// Reads the request from its file.
    pub(super) fn read(&self, path: &Path) -> Result<Saved, FileError> {
        let file = read(path)?;
        let body = self.body.as_deref().map(read).transpose()?;
        Saved::parse(&file, body).map_err(|source| FileError::Request { path: path.to_owned(), source })
    }

    /// When it came, in Unix seconds.
    pub(super) fn now(&self) -> u64 {
        self.at.unwrap_or_else(|| time::unix_micros(SystemTime::now()) / 1_000_000)
    }
}

/// The keys of the source, and what else it is set to.
#[derive(clap::Args)]
pub(super) struct KeyArgs {
    /// A file with a secret, or with a public key; may be given several times
    #[arg(long, value_name = "FILE")]
    secret_file: Vec<PathBuf>,
    /// A file with `verify.settings` of the source, in JSON
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// What the provider publishes at an address; this command fetches nothing
    #[arg(long, value_name = "ADDRESS=FILE")]
    published: Vec<Publication>,
}

/// An address and the file of what it publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Publication {
    address: String,
    path: PathBuf,
}

impl FromStr for Publication {
    type Err = &'static str;

    /// An address may have a `=` in it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, path) = text.rsplit_once('=').ok_or("expected ADDRESS=FILE")?;
        Ok(Self { address: address.to_owned(), path: path.into() })
    }
}

impl KeyArgs {
    /// Reads the keys, each named by its file.
    pub(super) fn secrets(&self) -> Result<Secrets, FileError> {
        match self.secret_file.len() {
            many if many > VerifyDocument::MAX_SECRETS => Err(FileError::TooManySecrets(many)),
            _ => self.secret_file.iter().map(|path| secret(path)).collect(),
        }
    }

    /// Reads the settings, without the keys.
    pub(super) fn settings(&self) -> Result<Settings, FileError> {
        let Some(path) = &self.settings else { return Ok(Settings::default()) };
        let text = text(path)?;
        serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| FileError::Settings {
            path: path.clone(),
            line: error.line(),
            column: error.column(),
            what: unquoted(&error),
        })
    }

    /// Reads what `--published` says that addresses publish.
    pub(super) fn published(&self) -> Result<Published, FileError> {
        let read = |Publication { address, path }: &Publication| Ok((address.clone(), read(path)?.into()));
        self.published.iter().map(read).collect::<Result<_, _>>().map(Published)
    }
}

/// Puts keys where the preset has them: a scheme that only has public keys takes each text for one.
pub(super) fn place(preset: &Preset, keys: Secrets, settings: &mut Settings) -> Secrets {
    let takes = |name: &str| preset.uses.contains(&name);
    let is_public =
        |key: &NamedSecret| takes("public_keys") && (!takes("secrets") || is_public_key(key.secret.expose()));
    let (public, secrets): (Secrets, Secrets) = keys.into_iter().partition(is_public);
    settings.public_keys.extend(public.iter().map(|key| key.secret.expose().to_owned()));
    secrets
}

/// The keys that addresses publish, read from files.
#[derive(Debug)]
pub(super) struct Published(BTreeMap<String, Arc<[u8]>>);

impl PublishedKeys for Published {
    fn get(&self, url: &str) -> Option<Arc<[u8]>> {
        self.0.get(url).cloned()
    }
}

/// Reads a file of at most [`MAX_FILE_BYTES`].
pub(super) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    read_at_most(path, MAX_FILE_BYTES)
}

/// Reads a file of at most [`MAX_FILE_BYTES`] as UTF-8.
pub(super) fn text(path: &Path) -> Result<String, FileError> {
    String::from_utf8(read(path)?).map_err(|_| FileError::NotText { path: path.to_owned() })
}

fn read_at_most(path: &Path, most: u64) -> Result<Vec<u8>, FileError> {
    let failed = |source| FileError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let mut bytes = vec![];
    file.take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most {
        return Err(FileError::TooLong { path: path.to_owned(), most });
    }
    Ok(bytes)
}

fn secret(path: &Path) -> Result<NamedSecret, FileError> {
    let bytes = read_at_most(path, MAX_SECRET_BYTES)?;
    let secret = match std::str::from_utf8(&bytes).map(str::trim) {
        Ok(text) if is_public_key(text) => Ok(Secret::new(text)),
        _ => Secret::from_line(bytes),
    };
    let secret = secret.map_err(|source| FileError::Secret { path: path.to_owned(), source })?;
    Ok(NamedSecret { id: path.display().to_string(), secret })
}

/// Returns true if a text is a public key in PEM, or in JSON. Those have line ends inside, which no secret
/// has.
fn is_public_key(text: &str) -> bool {
    text.starts_with("-----BEGIN ") || text.starts_with('{')
}

/// What is wrong with settings, without the values that serde quotes: one of them may be a token.
fn unquoted(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let says_names_only = ["unknown field", "missing field", "duplicate field"];
    match says_names_only.iter().any(|beginning| text.starts_with(beginning)) {
        true => text,
        false => "a value is not what belongs there".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use floodgate_schemes::presets;

    use super::*;

    fn keys(secrets: Vec<PathBuf>, settings: Option<PathBuf>) -> KeyArgs {
        KeyArgs { secret_file: secrets, settings, published: vec![] }
    }

    #[test]
    fn files_are_bounded_and_errors_name_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("request");
        assert!(read(&path).unwrap_err().to_string().contains("request"));
        fs::write(&path, vec![b' '; MAX_FILE_BYTES as usize]).unwrap();
        assert!(read(&path).is_ok());
        fs::write(&path, vec![b' '; MAX_FILE_BYTES as usize + 1]).unwrap();
        assert!(read(&path).unwrap_err().to_string().ends_with("over 8388608 bytes"));
        assert!(keys(vec![path], None).secrets().unwrap_err().to_string().ends_with("over 8192 bytes"));
    }

    #[test]
    fn secrets_are_lines_and_public_keys_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let (line, pem) =
            (file("line", "s3cret\n"), file("pem", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END\n"));
        let read = keys(vec![line.clone(), pem.clone()], None).secrets().unwrap();
        assert_eq!((read[0].secret.expose(), &*read[0].id), ("s3cret", &*line.display().to_string()));
        assert!(read[1].secret.expose().ends_with("END"));

        let mut settings = Settings::default();
        let (wise, github) = (presets::find("wise").unwrap(), presets::find("github").unwrap());
        assert_eq!(place(wise, read.clone(), &mut settings).len(), 0);
        assert_eq!(settings.public_keys.len(), 2);
        assert_eq!(place(github, read, &mut Settings::default()).len(), 2);

        let spaced = keys(vec![file("spaced", "s3cret \n")], None).secrets().unwrap_err().to_string();
        assert!(spaced.contains("ends with a space") && !spaced.contains("s3cret"), "{spaced}");
        assert!(matches!(keys(vec![line; 11], None).secrets(), Err(FileError::TooManySecrets(11))));
    }

    #[test]
    fn settings_are_those_of_a_source_and_are_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            keys(vec![], Some(path.clone())).settings().map_err(|error| error.to_string())
        };
        let settings = read("\u{feff}{\"url\": \"https://a.example/\"}").unwrap();
        assert_eq!(settings.url.as_deref(), Some("https://a.example/"));
        assert!(read("{\"verify_tokn\": 1}").unwrap_err().contains("unknown field `verify_tokn`"));
        let wrong = read("{\"public_keys\": \"t0ken\"}").unwrap_err();
        assert!(wrong.contains("line 1") && !wrong.contains("t0ken"), "{wrong}");
    }

    #[test]
    fn what_an_address_publishes_is_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cert.pem");
        fs::write(&path, b"PEM").unwrap();
        let published = vec![format!("https://a.example/?key=1={}", path.display()).parse().unwrap()];
        let published = KeyArgs { published, ..keys(vec![], None) }.published().unwrap();
        assert_eq!(published.get("https://a.example/?key=1").as_deref(), Some(&b"PEM"[..]));
        assert!(published.get("https://b.example/").is_none());
    }

    #[test]
    fn an_address_may_have_an_equals_sign() {
        let published: Publication = "https://a.example/?key=1=cert.pem".parse().unwrap();
        assert_eq!(published.address, "https://a.example/?key=1");
        assert_eq!(published.path, Path::new("cert.pem"));
        assert!("https://a.example/".parse::<Publication>().is_err());
    }
}
