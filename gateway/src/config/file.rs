//! The form of `gateway.toml`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use floodgate_event::Name;
use floodgate_stream::Settings;
use serde::Deserialize;

use super::Limits;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) region: Name,
    pub(super) gateway: Option<Name>,
    pub(super) listen: SocketAddr,
    pub(super) metrics_listen: SocketAddr,
    pub(super) opening_key_file: PathBuf,
    #[serde(default)]
    pub(super) plaintext: bool,
    pub(super) tls: Option<Tls>,
    pub(super) nats: Settings,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) drain: Drain,
    #[serde(default)]
    pub(super) handlers: floodgate_sandbox::Limits,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) certificate_file: PathBuf,
    pub(super) key_file: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Drain {
    grace_seconds: u32,
    incomplete_seconds: u32,
    timeout_seconds: u32,
}

impl Default for Drain {
    fn default() -> Self {
        Self { grace_seconds: 2, incomplete_seconds: 1, timeout_seconds: 30 }
    }
}

impl From<Drain> for super::Drain {
    fn from(drain: Drain) -> Self {
        Self {
            grace: Duration::from_secs(drain.grace_seconds.into()),
            incomplete: Duration::from_secs(drain.incomplete_seconds.into()),
            timeout: Duration::from_secs(drain.timeout_seconds.into()),
        }
    }
}
