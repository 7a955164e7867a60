//! The form of `gateway.toml`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use floodgate_event::Name;
use floodgate_ingress::AccessLogSettings;
use floodgate_stream::Settings;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Limits;
use super::proxies::Proxies;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// The region that this gateway serves, by the name that the relay knows it by.
    #[schemars(with = "String", example = &"eu", extend("x-type" = "name"))]
    pub(super) region: Name,
    /// The name of this gateway in logs, `GET /v1/regions` and `floodgate doctor`, which no other gateway of
    /// the region may have. If left out, it is the region and eight random hex digits, new at each start.
    #[schemars(with = "Option<String>", example = "eu-1", extend("x-type" = "name"))]
    pub(super) gateway: Option<Name>,
    /// The address and port where webhooks come in.
    #[schemars(with = "String", example = "0.0.0.0:443", extend("x-type" = "address:port"))]
    pub(super) listen: SocketAddr,
    /// The address and port of `/metrics`, `/healthz` and `/readyz`: plain HTTP without authentication. Keep
    /// it in a private network. `/healthz` and `/readyz` are on `listen` too.
    #[schemars(with = "String", example = "10.1.0.1:9090", extend("x-type" = "address:port"))]
    pub(super) metrics_listen: SocketAddr,
    /// The file with the region's private key, as `floodgate keys sealing` writes it. It opens the secrets of
    /// the region's sources. All gateways of a region have the same key, and the relay has its public half.
    #[schemars(example = "/etc/floodgate/region.key", extend("x-reload" = true))]
    pub(super) opening_key_file: PathBuf,
    /// If true, the gateway serves HTTP without TLS, and there must be no `[tls]` table. Use it only behind a
    /// proxy that terminates TLS, or for tests.
    #[serde(default)]
    pub(super) plaintext: bool,
    /// The certificates that senders see. Required unless `plaintext` is true. Changed files are noticed
    /// within 30 seconds, also without a reload. Senders can resume a session at any gateway of the region
    /// for 12 hours: the keys of tickets come from `opening_key_file` and the time.
    pub(super) tls: Option<Tls>,
    /// The proxies in front of `listen` that tell the address of a sender. Events, `allow` of a source, logs
    /// and the share of memory of an address use the address that they tell.
    #[serde(default)]
    pub(super) proxies: Proxies,
    /// The connection to the region's NATS.
    pub(super) nats: Settings,
    /// Bounds of connections, requests, memory, queues and publishes.
    #[serde(default)]
    pub(super) limits: Limits,
    /// A line of JSON on stdout for some requests, to see who sends what. Logs go to stderr.
    #[serde(default)]
    pub(super) access_log: AccessLogSettings,
    /// How the gateway stops on SIGTERM: it answers 503 on `/readyz`, accepts for a while, then finishes what
    /// has arrived.
    #[serde(default)]
    pub(super) drain: Drain,
    /// What handlers may use: the most that one binding may ask for, and what all of them share.
    #[serde(default)]
    pub(super) handlers: floodgate_sandbox::Limits,
    /// The keys that providers publish at addresses of their own, which the gateway fetches.
    #[serde(default)]
    pub(super) published_keys: PublishedKeys,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    /// The PEM file with the certificate and those that signed it, the gateway's own first. It is also for
    /// senders that ask for no name, or for one that no certificate has.
    #[schemars(example = "/etc/floodgate/tls.pem", extend("x-reload" = true))]
    pub(super) certificate_file: PathBuf,
    /// The PEM file with the private key of the certificate.
    #[schemars(example = "/etc/floodgate/tls.key", extend("x-reload" = true))]
    pub(super) key_file: PathBuf,
    /// If true, the gateway asks each TLS client for a certificate, which the client need not have. Sources
    /// with `client_ca`, such as those of the scheme `mtls`, need it: without it the gateway refuses them,
    /// and answers 503. It adds a message to each handshake, and a few clients fail when they are asked, so
    /// leave it out if no source needs it.
    #[serde(default)]
    pub(super) request_client_certificates: bool,
    /// Further certificates, at most 1,000: each for the DNS names that it is made out to, where `*` stands
    /// for one label. If two have a name, the first in the file is used.
    #[serde(default)]
    pub(super) certificates: Vec<Certificate>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Certificate {
    /// The PEM file with the certificate and those that signed it, its own first.
    #[schemars(example = "/etc/floodgate/eu.pem", extend("x-reload" = true))]
    pub(super) certificate_file: PathBuf,
    /// The PEM file with the private key of the certificate.
    #[schemars(example = "/etc/floodgate/eu.key", extend("x-reload" = true))]
    pub(super) key_file: PathBuf,
}

/// Which addresses the gateway may fetch keys of providers from.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PublishedKeys {
    /// Networks that may be reached although they are not public, such as that of your own identity provider.
    #[schemars(with = "Vec<String>", example = ["10.0.0.0/8"], extend("x-type" = "list of networks"))]
    pub allow_networks: Vec<IpNet>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Drain {
    /// How many seconds the gateway accepts new requests after `/readyz` answers 503. Choose more than your
    /// balancer needs to notice.
    grace_seconds: u32,
    /// How many seconds after that a request may take to arrive whole, and a peer to read its answer.
    incomplete_seconds: u32,
    /// How many seconds after that requests that arrived whole may take until they are answered.
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
