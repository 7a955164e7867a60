//! The configuration files of gateway and relay that this command writes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use floodgate_event::seal::SealingKey;
use floodgate_event::{Name, ShardCount};
use serde::Serialize;

/// The networks that deliveries may reach in development: consumers on this machine. Otherwise such addresses
/// are refused.
pub(crate) const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];
/// How long a writer's lease lasts, in seconds: short, so that a takeover does not take long to watch.
pub(crate) const LEASE_SECONDS: u64 = 5;

/// The settings of `gateway.toml` that differ from the defaults.
#[derive(Serialize)]
pub(crate) struct GatewayFile<'a> {
    pub(crate) region: &'a Name,
    pub(crate) gateway: String,
    pub(crate) listen: SocketAddr,
    pub(crate) metrics_listen: SocketAddr,
    pub(crate) opening_key_file: &'a Path,
    pub(crate) plaintext: bool,
    pub(crate) nats: Nats<'a>,
    pub(crate) handlers: Handlers,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<TlsFiles<'a>>,
}

/// The compile command and cache of a gateway's handlers.
#[derive(Serialize)]
pub(crate) struct Handlers {
    pub(crate) cache_dir: PathBuf,
}

/// A NATS server, and the user that connects to it.
#[derive(Serialize)]
pub(crate) struct Nats<'a> {
    pub(crate) url: String,
    pub(crate) user: &'static str,
    pub(crate) password_file: &'a Path,
}

#[derive(Serialize)]
pub(crate) struct TlsFiles<'a> {
    pub(crate) certificate_file: &'a Path,
    pub(crate) key_file: &'a Path,
}

/// The settings of `relay.toml` that differ from the defaults.
#[derive(Serialize)]
pub(crate) struct RelayFile<'a> {
    pub(crate) relay: &'static str,
    pub(crate) state_dir: PathBuf,
    pub(crate) shards: ShardCount,
    pub(crate) opening_key_file: &'a Path,
    pub(crate) metrics_listen: SocketAddr,
    pub(crate) admin: Admin<'a>,
    pub(crate) nats: Nats<'a>,
    pub(crate) lease: Lease,
    pub(crate) forward: Forward,
    pub(crate) regions: Vec<RelayRegion<'a>>,
}

#[derive(Serialize)]
pub(crate) struct Admin<'a> {
    pub(crate) listen: SocketAddr,
    pub(crate) token_file: &'a Path,
}

/// A region in the relay's configuration.
#[derive(Serialize)]
pub(crate) struct RelayRegion<'a> {
    pub(crate) name: &'a Name,
    pub(crate) sealing_key: &'a SealingKey,
    pub(crate) nats: Nats<'a>,
}

#[derive(Serialize)]
pub(crate) struct Lease {
    pub(crate) seconds: u64,
}

#[derive(Serialize)]
pub(crate) struct Forward {
    pub(crate) allow_networks: [&'static str; 2],
}
