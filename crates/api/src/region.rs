//! Which revision each shard routes by, and each region has and serves.

use floodgate_event::report::RefusedSource;
use floodgate_event::{Name, ShardCount, ShardId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::schema;

/// The centre's revision, and how far it has come.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Distribution {
    /// The centre's revision. A relay of an earlier release does not say it, nor the shards.
    #[serde(default)]
    #[schema(value_type = schema::Revision, required = true)]
    pub revision: u64,
    /// How many shards the deployment has.
    #[serde(default)]
    #[schema(value_type = u32, required = true)]
    pub shards: Option<ShardCount>,
    /// The revision that each shard routes by. A shard is missing while its writer has not recorded a
    /// revision.
    #[serde(default)]
    #[schema(required = true)]
    pub routed: Vec<RoutedShard>,
    /// Every region, by name.
    pub items: Vec<Region>,
}

/// A shard's writer, and the revision that it routes by.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RoutedShard {
    /// The number of the shard.
    #[schema(value_type = u32)]
    pub shard: ShardId,
    /// The revision that it routes by.
    #[schema(value_type = schema::Revision)]
    pub revision: u64,
    /// The relay that writes the shard.
    #[serde(default)]
    #[schema(required = true)]
    pub relay: String,
}

/// A region: what it has of the configuration, and what its gateways serve.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Region {
    /// The name of the region.
    pub name: Name,
    /// Whether the region answered.
    pub reachable: bool,
    /// The revision in the region's bucket.
    #[schema(required = true)]
    pub revision: Option<u64>,
    /// The lowest revision that a gateway with a fresh report serves.
    #[schema(required = true)]
    pub serving: Option<u64>,
    /// Its gateways, as they last reported themselves.
    pub gateways: Vec<Gateway>,
    /// Why the region does not get the configuration.
    #[schema(required = true)]
    pub error: Option<String>,
}

/// A gateway, as it last reported itself.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Gateway {
    /// The name of the gateway process.
    pub gateway: String,
    /// The revision it serves; 0 before it has any.
    #[serde(default)]
    pub revision: u64,
    /// Why it does not serve a newer one.
    pub error: Option<String>,
    /// Sources that it does not serve as the revision has them.
    #[serde(default)]
    pub refused: Vec<RefusedSource>,
    /// When secrets last verified a request, for sources that have several.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub secrets: Vec<SecretUsed>,
    /// When the region's server took its report.
    #[serde(default)]
    #[schema(format = DateTime)]
    pub reported_at: String,
    /// Whether the report is too old to say what the gateway does now.
    pub stale: bool,
}

/// When a secret of a source last verified a request in a gateway. A rotation is over once the old secret has
/// verified nothing for as long as the provider retries.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SecretUsed {
    /// The name of the source.
    pub source: Name,
    /// The id of the secret.
    pub secret: String,
    /// When the secret last verified a request; null if it has verified none since the gateway started.
    #[schema(required = true, format = DateTime)]
    pub last_used_at: Option<String>,
}
