//! Fixtures: an event, and what the handler is to make of it. A JSON file each.

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

use super::outcome::Expected;

/// An event, what the handler's parameters are, and what is expected.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fixture {
    #[serde(default)]
    params: Map<String, Value>,
    /// What a source's binding would grant.
    #[serde(default)]
    grants: Grants,
    /// Keys of the source, for tests only.
    #[serde(default)]
    keys: BTreeMap<Name, Secret>,
    event: Event,
    pub(crate) expect: Expected,
}

/// What is left out is what a plain `POST` of a source named `test` has.
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
    /// An id that is none is that of zeros.
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

/// A fixture's event in the form that handlers get.
pub(crate) struct Prepared<'a> {
    event: &'a Event,
    body: Vec<u8>,
    params: String,
    context: Context,
}

impl Fixture {
    /// Makes the event ready to be run, any number of times.
    ///
    /// # Errors
    /// If it grants a key that it does not have.
    pub(crate) fn prepare(&self) -> Result<Prepared<'_>, UnknownKey> {
        let event = &self.event;
        let params = Value::Object(self.params.clone()).to_string();
        let context = Context::new(Arc::new(event.envelope()), Arc::new(self.granted()?));
        Ok(Prepared { event, body: event.body(), params, context })
    }
}

impl Prepared<'_> {
    /// Runs a handler over the event.
    pub(crate) async fn run(&self, handler: &Handler) -> Run {
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

/// Reads all fixtures of a folder, in the order of their names; there must be one at least.
pub(crate) fn read_some(folder: &Path) -> Result<Vec<(String, Fixture)>, FixtureError> {
    let fixtures = read_all(folder)?;
    if fixtures.is_empty() { Err(FixtureError::None(folder.to_owned())) } else { Ok(fixtures) }
}

fn read_all(folder: &Path) -> Result<Vec<(String, Fixture)>, FixtureError> {
    let unreadable = |source| FixtureError::Read { path: folder.to_owned(), source };
    let entries: Result<Vec<_>, _> = fs::read_dir(folder).map_err(unreadable)?.collect();
    let mut paths: Vec<PathBuf> = entries.map_err(unreadable)?.iter().map(fs::DirEntry::path).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths.iter().map(|path| Ok((name(path), read(path)?))).collect()
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn read(path: &Path) -> Result<Fixture, FixtureError> {
    let text = fs::read(path).map_err(|source| FixtureError::Read { path: path.to_owned(), source })?;
    serde_json::from_slice(&text).map_err(|source| FixtureError::Json { path: path.to_owned(), source })
}

/// Why fixtures could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FixtureError {
    #[error("{}: there are no fixtures; add a JSON file each", .0.display())]
    None(PathBuf),
    #[error("{} cannot be read", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is no fixture", path.display())]
    Json { path: PathBuf, source: serde_json::Error },
}
