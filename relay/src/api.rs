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
use floodgate_event::{Name, ProblemCode};
use tokio::sync::Semaphore;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use self::extract::Write;
use self::limits::Gate;
use crate::central::CentralStreams;
use crate::replay::Replays;
use floodgate_control::{Changed, Control, Kind, Mode, Precondition, Scope};
use floodgate_deliver::DeliveryIndex;
use floodgate_replicate::books::Bookkeeper;
use floodgate_replicate::lookup::EventLookup;
use floodgate_stream::provision::StreamFaults;

/// The largest body of a request, in bytes, where an endpoint does not say otherwise.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The most that follow handlers' lines at once.
const MAX_FOLLOWERS: usize = 32;

/// What is known of the streams that everything stands on.
#[derive(Clone)]
pub(crate) struct Streams {
    pub(crate) central: CentralStreams,
    /// The regions'.
    pub(crate) faults: StreamFaults,
}

/// What endpoints work with.
pub(crate) struct Parts {
    pub(crate) control: Control,
    pub(crate) books: Arc<Bookkeeper>,
    pub(crate) lookup: EventLookup,
    /// Each shard's, in the order of shards.
    pub(crate) deliveries: Vec<Arc<DeliveryIndex>>,
    pub(crate) replays: Replays,
    pub(crate) streams: Streams,
    /// For how long ids are remembered.
    pub(crate) window_days: u32,
    /// What requests must bear.
    pub(crate) token: Token,
}

/// What endpoints share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ApiState {
    pub(crate) control: Control,
    books: Arc<Bookkeeper>,
    lookup: EventLookup,
    deliveries: Arc<[Arc<DeliveryIndex>]>,
    replays: Replays,
    streams: Streams,
    window_days: u32,
    token: Token,
    gate: Gate,
    /// Those who follow handlers' lines.
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
            streams: parts.streams,
            window_days: parts.window_days,
            token: parts.token,
            gate: Gate::new(),
            followers: Arc::new(Semaphore::new(MAX_FOLLOWERS)),
        }
    }

    /// The deliveries of one shard; none if there is no such shard.
    fn deliveries_of(&self, shard: u32) -> Option<&DeliveryIndex> {
        Some(self.deliveries.get(usize::try_from(shard).ok()?)?)
    }
}

/// The API, ready to be served.
pub(crate) fn router(state: ApiState) -> Router {
    let token = from_fn_with_state(state.clone(), auth::require_token);
    let protected =
        Router::from(mount(endpoints())).fallback(not_found).method_not_allowed_fallback(method_not_allowed);
    Router::from(mount(health::endpoints()))
        .method_not_allowed_fallback(method_not_allowed)
        // Who has no token takes no place, and how the relay is can be asked at any load.
        .merge(protected.layer(from_fn_with_state(state.clone(), limits::admit)).layer(token))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(state)
}

/// Every endpoint behind the token.
fn endpoints() -> Vec<Endpoint> {
    [
        sources::endpoints(),
        destinations::endpoints(),
        handlers::endpoints(),
        regions::endpoints(),
        events::endpoints(),
        quarantined::endpoints(),
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

/// What the endpoints' annotations say of all of them.
fn described() -> OpenApi {
    mount(health::endpoints()).merge(mount(endpoints())).into_openapi()
}

/// Waits until a change is in force, unless the caller does not; none for a dry run.
/// A change that left everything as it is may still be on its way from before.
async fn in_force(state: &ApiState, changed: &Changed<()>, write: Write, scope: Scope<'_>) -> Option<bool> {
    match write.mode {
        Mode::DryRun => None,
        Mode::Write => Some(awaited(state, changed.after.revision, write.wait, scope).await),
    }
}

/// Whether a revision is in force; waits for it, unless the caller does not.
async fn awaited(state: &ApiState, revision: u64, wait: bool, scope: Scope<'_>) -> bool {
    match wait {
        true => state.control.in_force(revision, scope).await,
        false => state.control.is_known_in_force(revision, scope),
    }
}

/// Deletes an object, and waits until that is in force, unless the caller does not.
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
