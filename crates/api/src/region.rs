//! Which revision each shard routes by, and each region has and serves.

use floodgate_event::Name;
use floodgate_event::report::RefusedSource;
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
    #[schema(required = true)]
    pub shards: u32,
    /// The revision that each shard routes by. A shard that no writer has spoken for yet is missing.
    #[serde(default)]
    #[schema(required = true)]
    pub routed: Vec<RoutedShard>,
    /// Every region.
    pub items: Vec<Region>,
}

/// A shard's writer, and the revision that it routes by.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RoutedShard {
    /// The shard.
    pub shard: u32,
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
    /// Its name.
    #[schema(value_type = schema::Name)]
    pub name: Name,
    /// Whether it answered.
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
    /// The gateway process.
    pub gateway: String,
    /// The revision it serves; 0 before it has any.
    #[serde(default)]
    pub revision: u64,
    /// Why it does not serve a newer one.
    pub error: Option<String>,
    /// Sources that it does not serve as the revision has them.
    #[serde(default)]
    #[schema(value_type = Vec<schema::RefusedSource>)]
    pub refused: Vec<RefusedSource>,
    /// When the region's server took its report.
    #[serde(default)]
    #[schema(format = DateTime)]
    pub reported_at: String,
    /// Whether the report is too old to say what the gateway does now.
    pub stale: bool,
}
