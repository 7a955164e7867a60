//! A handler's folder and its `handler.toml`. A folder without that file holds a handler in Rust.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use floodgate_event::source::HandlerLimits;
use floodgate_event::{Name, place};
use serde::Deserialize;

use crate::language::Language;

const FILE: &str = "handler.toml";

/// The folder of a handler, with what its `handler.toml` says.
#[derive(Debug)]
pub struct Project {
    folder: PathBuf,
    manifest: Option<Manifest>,
}

/// The fields of `handler.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    name: Name,
    language: Language,
    #[serde(default)]
    limits: HandlerLimits,
}

impl Project {
    /// Opens a handler's folder and reads its `handler.toml`.
    ///
    /// # Errors
    /// If the folder does not exist or holds no handler, or `handler.toml` is wrong: the error then names the
    /// file, the field and what is allowed.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let missing = |source| Error::Folder { folder: folder.to_owned(), source };
        let folder = folder.canonicalize().map_err(missing)?;
        let manifest = Manifest::read(&folder.join(FILE))?;
        if manifest.is_none() && !folder.join("Cargo.toml").is_file() {
            return Err(Error::Empty(folder));
        }
        Ok(Self { folder, manifest })
    }

    /// The folder's absolute path.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The name that sources bind the handler by, if `handler.toml` says it.
    pub fn name(&self) -> Option<&Name> {
        self.manifest.as_ref().map(|manifest| &manifest.name)
    }

    /// The handler's language; Rust if there is no `handler.toml`.
    pub fn language(&self) -> Language {
        self.manifest.as_ref().map(|manifest| manifest.language).unwrap_or_default()
    }

    /// The handler's limits; the ones left out are the gateway's defaults.
    pub fn limits(&self) -> HandlerLimits {
        self.manifest.as_ref().map(|manifest| manifest.limits).unwrap_or_default()
    }

    /// The folder of fixtures.
    pub fn fixtures(&self) -> PathBuf {
        self.folder.join("fixtures")
    }
}

impl Manifest {
    fn read(path: &Path) -> Result<Option<Self>, Error> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Read { path: path.to_owned(), source }),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let path = || path.to_owned();
        let syntax = |error: toml::de::Error| Error::Syntax {
            path: path(),
            line: place::line(text, error.span()),
            message: error.message().to_owned(),
        };
        let document = toml::Deserializer::parse(text).map_err(syntax)?;
        serde_path_to_error::deserialize(document).map_err(|error| Error::Field {
            path: path(),
            field: error.path().to_string(),
            message: error.inner().message().to_owned(),
        })
    }
}

/// Why a folder is not a handler's. Always the fault of whoever named or wrote it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder does not exist or cannot be reached.
    #[error("{}: no such folder", folder.display())]
    Folder {
        /// The folder as the caller named it.
        folder: PathBuf,
        /// Why it cannot be reached.
        source: io::Error,
    },
    /// The folder has neither a `handler.toml` nor a `Cargo.toml`.
    #[error("{}: no handler there, neither handler.toml nor Cargo.toml", .0.display())]
    Empty(PathBuf),
    /// `handler.toml` exists and cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The path of `handler.toml`.
        path: PathBuf,
        /// Why the read failed.
        source: io::Error,
    },
    /// `handler.toml` is not TOML.
    #[error("{}, line {line}: {message}", path.display())]
    Syntax {
        /// The path of `handler.toml`.
        path: PathBuf,
        /// The line of the error, from 1.
        line: usize,
        /// What the TOML parser says.
        message: String,
    },
    /// A field of `handler.toml` is unknown, missing or has a wrong value.
    #[error("{}: `{field}`: {message}", path.display())]
    Field {
        /// The path of `handler.toml`.
        path: PathBuf,
        /// The field's path, such as `limits.memory`; `.` where a field is missing at the top.
        field: String,
        /// What is wrong, and what is allowed.
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Manifest, String> {
        Manifest::parse(text, Path::new("handler.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn limits_that_are_left_out_are_the_gateway_s() {
        let manifest = parse("name = 'a'\nlanguage = 'js'\n[limits]\nmemory_bytes = 67108864").unwrap();
        let limits = HandlerLimits { memory_bytes: Some(64 * 1024 * 1024), ..HandlerLimits::default() };
        assert_eq!(manifest.limits, limits);
        assert_eq!(manifest.language, Language::Js);
    }

    #[test]
    fn what_is_wrong_is_refused_with_file_field_and_what_is_allowed() {
        for (text, message) in [
            (
                "name = 'a'\nlanguage = 'ruby'",
                "handler.toml: `language`: unknown variant `ruby`, expected one of `rust`, `js`, `python`, `c`",
            ),
            (
                "name = 'a'\nlanguage = 'c'\n[limits]\nmemory = 1",
                "handler.toml: `limits.memory`: unknown field `memory`, expected one of `deadline_ms`, \
                 `memory_bytes`, `output_bytes`",
            ),
            (
                "name = 'a'\nlanguage = 'c'\nversion = 1",
                "handler.toml: `version`: unknown field `version`, expected one of `name`, `language`, `limits`",
            ),
            ("name = 'a'", "handler.toml: `.`: missing field `language`"),
        ] {
            assert_eq!(parse(text).unwrap_err(), message);
        }
        assert!(parse("name = 'No'\nlanguage = 'c'").unwrap_err().starts_with("handler.toml: `name`: "));
        assert!(parse("name = 'a'\nlanguage =").unwrap_err().starts_with("handler.toml, line 2: "));
    }

    #[test]
    fn a_folder_without_handler_toml_is_rust_and_one_without_anything_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Project::open(folder.path()), Err(Error::Empty(_))));
        fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        let project = Project::open(folder.path()).unwrap();
        assert_eq!((project.language(), project.name()), (Language::Rust, None));
        assert_eq!(project.limits(), HandlerLimits::default());
    }
}
