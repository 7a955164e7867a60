//! The tables of the relay's configuration file, apart from the connections and the regions.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

/// The length of a lease, in seconds. A shorter one would end whenever NATS elects a leader.
pub(super) const LEASE_SECONDS: RangeInclusive<u64> = 2..=300;
/// The dedup window, in days.
pub(super) const WINDOW_DAYS: RangeInclusive<u32> = 1..=90;
/// How long regions may keep events that the centre has, in seconds.
pub(super) const KEPT_SECONDS: RangeInclusive<u64> = 0..=30 * DAY_SECONDS;
pub(super) const DAY_SECONDS: u64 = 86_400;

/// The `[admin]` table: where the relay serves the admin API.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// The address and port of the admin API, plain HTTP. Keep it in a private network, or put a proxy with
    /// TLS in front of it.
    #[schemars(with = "String", example = "10.0.0.11:8400", extend("x-type" = "address:port"))]
    pub listen: SocketAddr,
    /// The file with the bearer token that every request must carry: at least 16 visible ASCII characters.
    #[schemars(example = "/etc/floodgate/admin.token", extend("x-reload" = true))]
    pub token_file: PathBuf,
}

/// The `[lease]` table: when another relay takes over.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LeaseConfig {
    /// How long, in seconds, a relay may be silent before another one takes over its shards. It must outlast
    /// an election of the centre's NATS: choose 30 for a cluster, and keep the default for a single server.
    /// All relays of a centre need the same value.
    #[schemars(range(min = *LEASE_SECONDS.start(), max = *LEASE_SECONDS.end()))]
    pub seconds: u64,
}

/// The `[dedup]` table: how long Floodgate recognises a second copy of an event.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dedup {
    /// How many days the ledger remembers the id of an event. A copy that arrives later is stored and
    /// delivered again. Each day costs disk and memory: see the page on sizing.
    #[schemars(range(min = *WINDOW_DAYS.start(), max = *WINDOW_DAYS.end()))]
    pub window_days: u32,
}

/// The `[history]` table: how long regions keep events that the centre has.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct History {
    /// How many seconds a region keeps an event after the centre has it; at most the dedup window. What
    /// regions keep is read again when you restore the centre from a backup, so a backup must be younger than
    /// this.
    #[schemars(range(max = *KEPT_SECONDS.end()))]
    pub kept_seconds: u64,
}

/// The `[forward]` table: where deliveries may go, and how many may wait.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Forward {
    /// Networks, such as `10.2.0.0/16`, that deliveries may reach although they are private, loopback or
    /// otherwise reserved. Without them such a delivery fails, so that nobody who may add a destination can
    /// reach your internal services.
    #[schemars(with = "Vec<String>", extend("x-type" = "list of networks"))]
    pub allow_networks: Vec<IpNet>,
    /// How many deliveries a shard holds for a destination that is disabled or paused. Beyond that it
    /// discards the oldest and counts them.
    #[schemars(range(min = *Forward::HELD.start(), max = *Forward::HELD.end()))]
    pub max_held: u64,
}

impl Forward {
    /// The least and the most that `max_held` may be.
    pub const HELD: RangeInclusive<u64> = 1..=100_000_000;
}

/// The `[handlers]` table: how the relay checks uploaded handlers.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Handlers {
    /// A program and its arguments. It reads a component on standard input and judges it, in a process of its
    /// own. If left out, the relay starts its own program as `floodgate handler check`.
    #[schemars(length(min = 1), extend("x-type" = "list of texts"))]
    pub check_command: Option<Vec<String>>,
}

impl Default for LeaseConfig {
    fn default() -> Self {
        Self { seconds: 10 }
    }
}

impl Default for Dedup {
    fn default() -> Self {
        Self { window_days: 7 }
    }
}

impl Default for History {
    fn default() -> Self {
        Self { kept_seconds: DAY_SECONDS }
    }
}

impl Default for Forward {
    fn default() -> Self {
        Self { allow_networks: Vec::new(), max_held: 1_000_000 }
    }
}

impl LeaseConfig {
    /// The lease's length.
    pub fn length(self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}
