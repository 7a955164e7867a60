//! Fixtures: JSON files, each with an event and the outcome that a handler must give it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use floodgate_event::grant::Grants;
use floodgate_event::proto::{self, Header};
use floodgate_event::{EventId, Lane, Name, Secret};
use floodgate_sandbox::{Context, Granted, Handler, Input, Run, UnknownKey};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::outcome::OutcomeJson;

/// An event, the handler's parameters and grants, and the outcome that is expected.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixture {
    #[serde(default)]
    params: Map<String, Value>,
    /// What a source's binding would grant.
    #[serde(default)]
    grants: Grants,
    /// Keys of the source, for tests only.
    #[serde(default)]
    keys: BTreeMap<Name, Secret>,
    event: Event,
    pub(crate) expect: OutcomeJson,
}

/// The event; fields that are left out are those of a plain `POST` to a source named `test`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Event {
    id: String,
    tenant: String,
    source: String,
    #[serde(rename = "type")]
    event_type: String,
    provider_id: String,
    region: String,
    lane: Lane,
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Option<Value>,
    body_text: Option<String>,
    received_at_us: u64,
}

impl Default for Event {
    fn default() -> Self {
        Self {
            id: "evt_00000000000000000000000000".into(),
            tenant: "default".into(),
            source: "test".into(),
            event_type: String::new(),
            provider_id: String::new(),
            region: "test".into(),
            lane: Lane::Standard,
            method: "POST".into(),
            path: "/in/test".into(),
            query: String::new(),
            headers: Vec::new(),
            body: None,
            body_text: None,
            received_at_us: 0,
        }
    }
}

impl Event {
    /// An id that does not parse becomes the id of zeros.
    fn envelope(&self) -> proto::Event {
        let id = self.id.parse().unwrap_or(EventId::from([0; 16]));
        proto::Event {
            id: id.as_bytes().to_vec(),
            received_at_us: self.received_at_us,
            request: Some(self.request()),
            ..proto::Event::default()
        }
    }

    fn request(&self) -> proto::Request {
        let header =
            |(name, value): &(String, String)| Header { name: name.clone(), value: value.clone().into() };
        proto::Request {
            method: self.method.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            headers: self.headers.iter().map(header).collect(),
            ..proto::Request::default()
        }
    }

    fn body(&self) -> Vec<u8> {
        match (&self.body, &self.body_text) {
            (Some(json), _) => json.to_string().into_bytes(),
            (None, Some(text)) => text.clone().into_bytes(),
            (None, None) => Vec::new(),
        }
    }
}

/// A fixture's event, ready to be run any number of times.
pub struct PreparedEvent<'a> {
    event: &'a Event,
    body: Vec<u8>,
    params: String,
    context: Context,
}

impl Fixture {
    /// Converts the event to the form that handlers get.
    ///
    /// # Errors
    /// If it grants a key that it does not have.
    pub fn prepare(&self) -> Result<PreparedEvent<'_>, UnknownKey> {
        let event = &self.event;
        let params = Value::Object(self.params.clone()).to_string();
        let context = Context::new(Arc::new(event.envelope()), Arc::new(self.granted()?));
        Ok(PreparedEvent { event, body: event.body(), params, context })
    }
}

impl PreparedEvent<'_> {
    /// Runs a handler over the event.
    pub async fn run(&self, handler: &Handler) -> Run {
        let event = self.event;
        let input = Input {
            id: &event.id,
            tenant: &event.tenant,
            source: &event.source,
            type_: &event.event_type,
            provider_id: &event.provider_id,
            region: &event.region,
            lane: event.lane.into(),
            body: &self.body,
            received_at: event.received_at_us,
            params: &self.params,
        };
        handler.run(input, &self.context).await
    }
}

impl Fixture {
    fn granted(&self) -> Result<Granted, UnknownKey> {
        let keys = self.keys.iter().map(|(name, key)| (name.clone(), key.clone())).collect();
        Granted::uncounted(&self.grants, &keys)
    }
}

/// Reads all fixtures of a folder with their names, in the order of the names. The result is never empty.
///
/// # Errors
/// If the folder has no JSON file, or one that is no fixture.
pub fn read_all(folder: &Path) -> Result<Vec<(String, Fixture)>, Error> {
    let fixtures = read_some(folder)?;
    if fixtures.is_empty() { Err(Error::None(folder.to_owned())) } else { Ok(fixtures) }
}

fn read_some(folder: &Path) -> Result<Vec<(String, Fixture)>, Error> {
    let unreadable = |source| Error::Read { path: folder.to_owned(), source };
    let entries: Result<Vec<_>, _> = fs::read_dir(folder).map_err(unreadable)?.collect();
    let mut paths: Vec<PathBuf> = entries.map_err(unreadable)?.iter().map(fs::DirEntry::path).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths.iter().map(|path| Ok((name(path), read(path)?))).collect()
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn read(path: &Path) -> Result<Fixture, Error> {
    let text = fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    serde_json::from_slice(&text).map_err(|source| Error::Json { path: path.to_owned(), source })
}

/// Why fixtures could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder has no JSON file.
    #[error("{}: there are no fixtures; add a JSON file each", .0.display())]
    None(PathBuf),
    /// The folder or a file in it cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The folder or the file.
        path: PathBuf,
        /// Why the read failed.
        source: io::Error,
    },
    /// A file is not JSON, or has an unknown or wrong field.
    #[error("{} is no fixture", path.display())]
    Json {
        /// The path of the file.
        path: PathBuf,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
}
