//! The ready file: how to reach a deployment, written once all of it is ready.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use floodgate_event::Name;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::files::{self, Readers};

/// The largest file that may be a ready file, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// How to reach a deployment. The ready file has the same fields, and the processes.
#[derive(Clone, Debug, Serialize)]
pub struct Ready {
    /// How to reach the admin API.
    pub admin: Admin,
    /// The regions, by name.
    pub regions: BTreeMap<Name, Region>,
    /// How to reach the centre.
    pub centre: Centre,
}

/// How to reach the admin API.
#[derive(Clone, Debug, Serialize)]
pub struct Admin {
    /// Its URL, without a path.
    pub url: String,
    /// The bearer token. Because of it the ready file is private.
    pub token: String,
}

/// How to reach a region.
#[derive(Clone, Debug, Serialize)]
pub struct Region {
    /// The gateway's URL, without a path.
    pub url: String,
    /// The certificate to trust; none with plain HTTP.
    pub ca: Option<PathBuf>,
    /// The URL of the region's nats-server.
    pub nats: String,
    /// The URL of the gateway's metrics.
    pub metrics: String,
}

/// How to reach the centre.
#[derive(Clone, Debug, Serialize)]
pub struct Centre {
    /// The URL of the centre's nats-server.
    pub nats: String,
    /// The URL of the relay's metrics.
    pub metrics: String,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    ready: &'a Ready,
    processes: &'a BTreeMap<String, u32>,
}

/// The file. It exists only while the deployment is ready.
pub(crate) struct ReadyFile(PathBuf);

impl ReadyFile {
    /// Makes a ready file at this path. Removes a ready file that a killed run left there, and nothing else.
    pub(crate) fn new(path: PathBuf) -> Result<Self, Error> {
        match remove(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error { path, source }),
            _ => Ok(Self(path)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes the file, or replaces it at once.
    pub(crate) fn write(&self, ready: &Ready, processes: &BTreeMap<String, u32>) -> Result<(), Error> {
        let written = serde_json::to_vec_pretty(&Document { ready, processes })
            .map_err(io::Error::from)
            .and_then(|text| files::write(&self.0, &text, Readers::Nobody));
        written.map_err(|source| Error { path: self.0.clone(), source })
    }

    /// Removes the file, if it was written.
    pub(crate) fn remove(&self) {
        // The next start removes what is left.
        let _ = fs::remove_file(&self.0);
    }
}

/// Removes the file if it is a ready file, or empty as `mktemp` makes files.
fn remove(path: &Path) -> io::Result<()> {
    if fs::metadata(path)?.is_file() {
        let mut text = Vec::new();
        File::open(path)?.take(MAX_BYTES).read_to_end(&mut text)?;
        if text.is_empty() || serde_json::from_slice::<ReadyFields>(&text).is_ok() {
            return fs::remove_file(path);
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "something else is there, which is not replaced"))
}

/// The fields by which a ready file is recognized.
#[derive(Deserialize)]
struct ReadyFields {
    #[serde(rename = "admin")]
    _admin: IgnoredAny,
    #[serde(rename = "processes")]
    _processes: IgnoredAny,
}

/// The ready file cannot be written or removed.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the ready file {}", path.display())]
pub(crate) struct Error {
    path: PathBuf,
    source: io::Error,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_ready_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ready.json");
        for (there, is_replaced) in [
            ("", true),
            (r#"{"admin": {}, "regions": {}, "processes": {}}"#, true),
            ("{}", false),
            ("[sources.a]", false),
        ] {
            fs::write(&path, there).unwrap();
            assert_eq!(ReadyFile::new(path.clone()).is_ok(), is_replaced, "{there}");
            assert_eq!(path.exists(), !is_replaced, "{there}");
        }
        assert!(ReadyFile::new(folder.path().to_owned()).is_err());
        assert!(ReadyFile::new(folder.path().join("none")).is_ok());
    }

    #[test]
    fn form_is_what_scripts_read() {
        let ready = Ready {
            admin: Admin { url: "http://127.0.0.1:8400".into(), token: "t".into() },
            regions: BTreeMap::from([(
                "eu".parse().unwrap(),
                Region {
                    url: "https://localhost:8441".into(),
                    ca: None,
                    nats: "n".into(),
                    metrics: "m".into(),
                },
            )]),
            centre: Centre { nats: "n".into(), metrics: "m".into() },
        };
        let processes = BTreeMap::from([("relay".to_owned(), 104)]);
        let expected = serde_json::json!({
            "admin": {"url": "http://127.0.0.1:8400", "token": "t"},
            "regions": {"eu": {"url": "https://localhost:8441", "ca": null, "nats": "n", "metrics": "m"}},
            "centre": {"nats": "n", "metrics": "m"},
            "processes": {"relay": 104},
        });
        assert_eq!(
            serde_json::to_value(Document { ready: &ready, processes: &processes }).unwrap(),
            expected
        );
    }
}
