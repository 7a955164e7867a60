//! The admin API: JSON over HTTP, a bearer token, errors as
//! [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem documents.

mod answer;
mod auth;
mod books;
mod central;
mod destinations;
mod endpoint;
mod error;
mod events;
mod extract;
mod handlers;
mod health;
mod limits;
mod openapi;
mod order;
mod quarantined;
mod regions;
mod rejects;
mod replays;
mod sources;

pub(crate) use auth::Token;
pub(crate) use endpoint::Endpoint;
pub(crate) use error::ApiError;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use floodgate_api::answer::Removed;
use floodgate_event::{Name, ProblemCode, ShardId};
use tokio::sync::Semaphore;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use self::extract::Write;
use self::limits::Gate;
use crate::central::CentralStreams;
use crate::held::HeldReplays;
use crate::replay::Replays;
use floodgate_control::{Changed, Control, Kind, Mode, Precondition, Scope};
use floodgate_deliver::DeliveryIndex;
use floodgate_replicate::books::Bookkeeper;
use floodgate_replicate::lookup::EventLookup;
use floodgate_replicate::rejects::RejectLog;
use floodgate_stream::provision::StreamFaults;

/// The largest body of a request, in bytes, unless an endpoint says otherwise.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The most clients that follow handlers' log lines at once.
const MAX_FOLLOWERS: usize = 32;

/// The states of the centre's and the regions' streams.
#[derive(Clone)]
pub(crate) struct Streams {
    pub(crate) central: CentralStreams,
    /// The faults of regional streams.
    pub(crate) faults: StreamFaults,
}

/// The parts of the relay that endpoints use.
pub(crate) struct Parts {
    pub(crate) control: Control,
    pub(crate) books: Arc<Bookkeeper>,
    pub(crate) lookup: EventLookup,
    /// The delivery index of each shard, in the order of shards.
    pub(crate) deliveries: Vec<Arc<DeliveryIndex>>,
    pub(crate) replays: Replays,
    pub(crate) rejects: RejectLog,
    pub(crate) held_replays: HeldReplays,
    pub(crate) streams: Streams,
    /// For how many days the ledger remembers ids.
    pub(crate) window_days: u32,
    /// The token that requests must carry.
    pub(crate) token: Token,
}

/// The state that endpoints share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ApiState {
    pub(crate) control: Control,
    books: Arc<Bookkeeper>,
    lookup: EventLookup,
    deliveries: Arc<[Arc<DeliveryIndex>]>,
    replays: Replays,
    rejects: RejectLog,
    held_replays: HeldReplays,
    streams: Streams,
    window_days: u32,
    token: Token,
    gate: Gate,
    /// A permit for each client that follows handlers' log lines.
    followers: Arc<Semaphore>,
}

impl ApiState {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            control: parts.control,
            books: parts.books,
            lookup: parts.lookup,
            deliveries: parts.deliveries.into(),
            replays: parts.replays,
            rejects: parts.rejects,
            held_replays: parts.held_replays,
            streams: parts.streams,
            window_days: parts.window_days,
            token: parts.token,
            gate: Gate::new(),
            followers: Arc::new(Semaphore::new(MAX_FOLLOWERS)),
        }
    }

    /// The deliveries of one shard. None if there is no such shard.
    fn deliveries_of(&self, shard: ShardId) -> Option<&DeliveryIndex> {
        Some(self.deliveries.get(usize::try_from(shard.get()).ok()?)?)
    }
}

/// Makes the router of the whole API.
pub(crate) fn router(state: ApiState) -> Router {
    let token = from_fn_with_state(state.clone(), auth::require_token);
    let protected =
        Router::from(mount(endpoints())).fallback(not_found).method_not_allowed_fallback(method_not_allowed);
    Router::from(mount(health::endpoints()))
        .method_not_allowed_fallback(method_not_allowed)
        // A request without the token takes none of the places. Health is answered at any load.
        .merge(protected.layer(from_fn_with_state(state.clone(), limits::admit)).layer(token))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(state)
}

/// All endpoints that require the token.
fn endpoints() -> Vec<Endpoint> {
    [
        sources::endpoints(),
        destinations::endpoints(),
        handlers::endpoints(),
        regions::endpoints(),
        events::endpoints(),
        quarantined::endpoints(),
        rejects::endpoints(),
        replays::endpoints(),
        books::endpoints(),
        central::endpoints(),
        openapi::endpoints(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn mount(endpoints: Vec<Endpoint>) -> OpenApiRouter<ApiState> {
    let empty = OpenApiRouter::with_openapi(openapi::empty());
    endpoints.into_iter().fold(empty, |router, endpoint| router.routes(endpoint.0))
}

/// The OpenAPI document: what the annotations of all endpoints say, and what they cannot express.
fn described() -> OpenApi {
    let mut document = mount(health::endpoints()).merge(mount(endpoints())).into_openapi();
    document.components.iter_mut().for_each(floodgate_api::bounds::add);
    document
}

/// Waits until a change is in force, unless the caller asked not to wait. None for a dry run. This also waits
/// if the change changed nothing, because an earlier one may still be on its way.
async fn in_force(state: &ApiState, changed: &Changed<()>, write: Write, scope: Scope<'_>) -> Option<bool> {
    match write.mode {
        Mode::DryRun => None,
        Mode::Write => Some(awaited(state, changed.after.revision, write.wait, scope).await),
    }
}

/// Returns true if a revision is in force. Waits for that first, unless the caller asked not to.
async fn awaited(state: &ApiState, revision: u64, wait: bool, scope: Scope<'_>) -> bool {
    match wait {
        true => state.control.wait_until_propagated(revision, scope).await,
        false => state.control.is_known_propagated(revision, scope),
    }
}

/// Deletes an object, and waits until that is in force, unless the caller asked not to.
async fn remove(
    state: &ApiState,
    (kind, name): (Kind, &Name),
    wait: bool,
    expected: &Precondition,
    scope: Scope<'_>,
) -> Result<Response, ApiError> {
    let changed = state.control.delete(kind, name, expected).await?;
    let revision = changed.after.revision;
    let in_force = Some(awaited(state, revision, wait, scope).await);
    Ok(answer::removed(Removed { name: name.clone(), revision, in_force }))
}

async fn not_found() -> ApiError {
    ApiError::new(ProblemCode::NotFound, "there is no such path: see /v1/openapi.json")
}

async fn method_not_allowed() -> ApiError {
    ApiError::new(ProblemCode::MethodNotAllowed, "this path does not take this method: see /v1/openapi.json")
}
