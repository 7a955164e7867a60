//! The file that `floodgate apply` reads: the admin API's documents in TOML. Secrets may be kept elsewhere.

mod secret;

use std::io;
use std::path::{Path, PathBuf};

use floodgate_api::document::{self, DestinationDocument, Invalid, SourceDocument};
use floodgate_api::paths::Collection;
use floodgate_event::name::InvalidName;
use floodgate_event::{Name, place};
use serde_json::Value;

pub(crate) use self::secret::SecretError;
use floodgate_devkit::files;

/// The largest file, in bytes.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// The tables of the file, in the order in which their objects are put: an event may arrive as soon as its
/// source exists, and must find its destination then. Objects are deleted in the reverse order.
pub(crate) const PUT_ORDER: [Collection; 2] = [Collection::Destinations, Collection::Sources];

/// An object of the file, in the form of the API's document, with its secrets filled in.
pub(crate) struct Object {
    pub(crate) kind: Collection,
    pub(crate) name: Name,
    pub(crate) document: Value,
}

/// All objects of the file, in the order in which they are put.
pub(crate) struct File {
    pub(crate) objects: Vec<Object>,
}

/// The JSON pointer to the list of secrets in a document of this kind.
const fn secrets(kind: Collection) -> &'static str {
    match kind {
        Collection::Sources => "/verify/secrets",
        Collection::Destinations => "/secrets",
    }
}

fn check(kind: Collection, document: &Value) -> Result<(), Invalid> {
    match kind {
        Collection::Sources => document::read::<SourceDocument>(document).map(drop),
        Collection::Destinations => document::read::<DestinationDocument>(document).map(drop),
    }
}

impl File {
    /// Reads and checks the file. Only the relay knows which handlers exist, so that is not checked.
    ///
    /// # Errors
    /// Names the file and the key.
    pub(crate) fn read(path: &Path) -> Result<Self, FileError> {
        Self::parse(
            &read_text(path).map_err(|source| FileError::Read { file: path.to_owned(), source })?,
            path,
        )
    }

    fn parse(text: &str, path: &Path) -> Result<Self, FileError> {
        let wrong = |key: String, fault: Fault| FileError::Key { file: path.to_owned(), key, fault };
        let table: toml::Table = text.parse().map_err(|error| syntax(text, path, &error))?;
        let json = serde_json::to_value(table).map_err(|error| wrong(String::new(), Fault::Json(error)))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut objects = Vec::new();
        for (key, entries) in members(json) {
            let Some(kind) = PUT_ORDER.into_iter().find(|kind| kind.as_str() == key) else {
                return Err(wrong(key, Fault::UnknownTable));
            };
            let Value::Object(entries) = entries else {
                return Err(wrong(key, Fault::NotATable));
            };
            for (name, document) in entries {
                let at = format!("{key}.{name}");
                objects.push(object(kind, &name, document, folder).map_err(|fault| wrong(at, fault))?);
            }
        }
        objects.sort_by_key(|object| PUT_ORDER.iter().position(|kind| *kind == object.kind));
        Ok(Self { objects })
    }

    /// Returns true if the file names this object.
    pub(crate) fn has(&self, kind: Collection, name: &str) -> bool {
        self.objects.iter().any(|object| object.kind == kind && object.name.as_str() == name)
    }
}

fn object(kind: Collection, name: &str, mut document: Value, folder: &Path) -> Result<Object, Fault> {
    let name = name.parse().map_err(Fault::Name)?;
    if let Some(Value::Array(secrets)) = document.pointer_mut(secrets(kind)) {
        for secret in secrets {
            secret::resolve(secret, folder)?;
        }
    }
    if let Some(Value::Object(keys)) = document.get_mut("keys").filter(|_| kind == Collection::Sources) {
        for key in keys.values_mut() {
            secret::resolve(key, folder)?;
        }
    }
    check(kind, &document)?;
    Ok(Object { kind, name, document })
}

fn members(value: Value) -> serde_json::Map<String, Value> {
    match value {
        Value::Object(members) => members,
        // A TOML document is a table.
        _ => serde_json::Map::new(),
    }
}

fn read_text(path: &Path) -> io::Result<String> {
    let bytes = files::read_at_most(path, MAX_FILE_BYTES)?;
    let foreign = |_| io::Error::new(io::ErrorKind::InvalidData, "stream did not contain valid UTF-8");
    String::from_utf8(bytes).map_err(foreign)
}

/// The library's own message shows the line that is wrong, which may contain a secret.
fn syntax(text: &str, path: &Path, error: &toml::de::Error) -> FileError {
    let line = place::line(text, error.span());
    FileError::Syntax { file: path.to_owned(), line, message: error.message().to_owned() }
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("cannot read {}", file.display())]
    Read { file: PathBuf, source: std::io::Error },
    #[error("{}, line {line}: {message}", file.display())]
    Syntax { file: PathBuf, line: usize, message: String },
    #[error("{}: {}", file.display(), fault.at(key))]
    Key { file: PathBuf, key: String, fault: Fault },
}

/// An error about a key of the file.
#[derive(Debug)]
pub(crate) enum Fault {
    UnknownTable,
    NotATable,
    Json(serde_json::Error),
    Name(InvalidName),
    Secret(SecretError),
    Document(Invalid),
}

impl Fault {
    fn at(&self, key: &str) -> String {
        match self {
            Self::UnknownTable => format!("`{key}`: unknown key, expected `sources` or `destinations`"),
            Self::NotATable => format!("`{key}`: expected a table"),
            Self::Json(error) => error.to_string(),
            Self::Name(error) => format!("`{key}`: {error}"),
            Self::Secret(error) => format!("`{key}`: {error}"),
            Self::Document(Invalid { path, message }) if path.is_empty() => format!("`{key}`: {message}"),
            Self::Document(Invalid { path, message }) => format!("`{key}.{path}`: {message}"),
        }
    }
}

impl From<Invalid> for Fault {
    fn from(invalid: Invalid) -> Self {
        Self::Document(invalid)
    }
}

impl From<SecretError> for Fault {
    fn from(error: SecretError) -> Self {
        Self::Secret(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        File::parse(text, Path::new("floodgate.toml")).err().unwrap().to_string()
    }

    #[test]
    fn unknown_keys_are_refused_with_file_and_path() {
        assert_eq!(
            refusal("[source.a]"),
            "floodgate.toml: `source`: unknown key, expected `sources` or `destinations`"
        );
        let message = refusal("[sources.a]\nverify = { scheme = 'github', secrets = ['s'], foo = 1 }");
        assert!(
            message.starts_with("floodgate.toml: `sources.a.verify.foo`: unknown field `foo`"),
            "{message}"
        );
        let message = refusal("[sources.a]\nverify = { scheme = 'github', secrets = [{ enw = 'X' }] }");
        assert!(message.starts_with("floodgate.toml: `sources.a`: a secret is a text"), "{message}");
    }

    #[test]
    fn messages_never_show_a_secret() {
        for text in [
            "[sources.a]\nverify = { secrets = ['whsec_x'",
            "[sources.a]\nverify = { scheme='github', secrets='whsec_x' }",
        ] {
            assert!(!refusal(text).contains("whsec_x"), "{}", refusal(text));
        }
    }

    #[test]
    fn keys_for_handlers_may_stand_elsewhere_too() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("partner.key"), "s3cret\n").unwrap();
        let text = "[sources.a]\nverify = { scheme = 'github', secrets = ['s'] }\n\
                    keys = { partner = { file = 'partner.key' } }";
        let file = File::parse(text, &folder.path().join("floodgate.toml")).ok().unwrap();
        assert_eq!(file.objects[0].document["keys"]["partner"], "s3cret");
        let message =
            refusal("[sources.a]\nverify = { scheme = 'github', secrets = ['s'] }\nkeys = { p = 5 }");
        assert!(message.starts_with("floodgate.toml: `sources.a`: a secret is a text"), "{message}");
    }

    #[test]
    fn destinations_come_first() {
        let text = "[sources.a]\nverify={scheme='github',secrets=['s']}\n\
                    [destinations.d]\nurl='http://h/'\nsecrets=['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw']";
        let file = File::parse(text, Path::new("f")).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            file.objects.iter().map(|object| object.kind.as_str()).collect::<Vec<_>>(),
            ["destinations", "sources"]
        );
    }
}
