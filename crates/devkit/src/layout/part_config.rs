//! The configuration files of gateway and relay, as this command writes them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use floodgate_event::Name;
use floodgate_event::seal::SealingKey;
use serde::Serialize;

/// Who may be sent to in development: consumers on this machine. Elsewhere such addresses are refused.
pub(crate) const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];
/// How long a writer's lease lasts, in seconds: short, so that another relay takes over while one watches.
pub(crate) const LEASE_SECONDS: u64 = 5;

/// `gateway.toml`.
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

/// How a gateway runs handlers.
#[derive(Serialize)]
pub(crate) struct Handlers {
    pub(crate) cache_dir: PathBuf,
}

/// A NATS server and who connects to it.
#[derive(Serialize)]
pub(crate) struct Nats<'a> {
    pub(crate) url: String,
    pub(crate) user: &'static str,
    pub(crate) password_file: &'a Path,
}

/// What TLS needs.
#[derive(Serialize)]
pub(crate) struct TlsFiles<'a> {
    pub(crate) certificate_file: &'a Path,
    pub(crate) key_file: &'a Path,
}

/// `relay.toml`.
#[derive(Serialize)]
pub(crate) struct RelayFile<'a> {
    pub(crate) relay: &'static str,
    pub(crate) state_dir: PathBuf,
    pub(crate) shards: u32,
    pub(crate) opening_key_file: &'a Path,
    pub(crate) metrics_listen: SocketAddr,
    pub(crate) admin: Admin<'a>,
    pub(crate) nats: Nats<'a>,
    pub(crate) lease: Lease,
    pub(crate) forward: Forward,
    pub(crate) regions: Vec<RelayRegion<'a>>,
}

/// The admin API.
#[derive(Serialize)]
pub(crate) struct Admin<'a> {
    pub(crate) listen: SocketAddr,
    pub(crate) token_file: &'a Path,
}

/// A region, as the relay sees it.
#[derive(Serialize)]
pub(crate) struct RelayRegion<'a> {
    pub(crate) name: &'a Name,
    pub(crate) sealing_key: &'a SealingKey,
    pub(crate) nats: Nats<'a>,
}

/// The writers' leases.
#[derive(Serialize)]
pub(crate) struct Lease {
    pub(crate) seconds: u64,
}

/// Forwarding.
#[derive(Serialize)]
pub(crate) struct Forward {
    pub(crate) allow_networks: [&'static str; 2],
}
