//! `/v1/regions`: which revision each shard routes by and each region serves.

use axum::Json;
use axum::extract::State;
use floodgate_api::paths;
use floodgate_api::region::{Distribution, RoutedShard};
use floodgate_event::Problem;
use utoipa_axum::routes;

use super::{ApiState, Endpoint};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::quick(routes!(list))]
}

/// Which revision each shard routes by, and what each region has and serves.
#[utoipa::path(
    get,
    path = paths::REGIONS,
    operation_id = "regions",
    tag = "regions",
    responses(
        (status = 200, body = Distribution, description = "The centre's revision, and every region"),
        (status = 401, response = Problem),
        (status = 503, response = Problem),
    )
)]
async fn list(State(state): State<ApiState>) -> Json<Distribution> {
    let revision = state.control.configuration().revision;
    let shards = Some(state.control.shards());
    let routed = state.control.routed_revisions().into_iter();
    let routed = routed.map(|(shard, at)| RoutedShard { shard, revision: at.revision, relay: at.relay });
    let (routed, items) = (routed.collect(), state.control.regions().await);
    Json(Distribution { revision, shards, routed, items })
}
