//! `/v1/regions`: which revision each shard routes by and each region serves.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use floodgate_control::RegionView;
use serde::Serialize;

use super::{ApiState, Endpoint};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::get("/v1/regions", list)]
}

/// The centre's revision, and how far it has come.
#[derive(Serialize)]
struct Distribution {
    revision: u64,
    shards: u32,
    /// A shard that no writer has spoken for yet is missing.
    routed: Vec<RoutedShard>,
    items: Vec<RegionView>,
}

/// A shard's writer, and the revision that it routes by.
#[derive(Serialize)]
struct RoutedShard {
    shard: u32,
    revision: u64,
    relay: String,
}

async fn list(State(state): State<ApiState>) -> Response {
    let revision = state.control.configuration().revision;
    let routed = state.control.routed();
    let shards = routed.shards();
    let standings = routed.standings().into_iter();
    let routed = standings.map(|(shard, at)| RoutedShard { shard, revision: at.revision, relay: at.relay });
    let (routed, items) = (routed.collect(), state.control.regions().await);
    Json(Distribution { revision, shards, routed, items }).into_response()
}
