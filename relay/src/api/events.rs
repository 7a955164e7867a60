//! `/v1/events/{id}`: what is known of one event.

use axum::Json;
use axum::extract::{Path, State};
use floodgate_api::event::{Child, Delivery, EventView, HandlerRun, Origin, Position, Routing};
use floodgate_api::paths;
use floodgate_api::time::rfc3339;
use floodgate_deliver::{DeliveryIndex, IndexError};
use floodgate_event::proto::event::Disposition;
use floodgate_event::proto::verdict::Kind;
use floodgate_event::proto::{self, Event};
use floodgate_event::{EventId, Lane, Problem, ProblemCode};
use floodgate_replicate::lookup::{FoundEvent, LookupError, MAX_LOOKS};
use utoipa_axum::routes;

use super::{ApiError, ApiState, Endpoint};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::quick(routes!(show))]
}

/// One event: its metadata, what handlers did, its deliveries and their attempts.
#[utoipa::path(
    get,
    path = paths::EVENT,
    operation_id = "show_event",
    tag = "events",
    params(("id" = String, Path, description = "The event's id, or its provider's. The latter is found where signatures cover it, or among the newest 10,000 blocks; 409 if several sources have it")),
    responses(
        (status = 200, body = EventView, description = "The event"),
        (status = 401, response = Problem),
        (status = 404, response = Problem),
        (status = 409, response = Problem),
        (status = 503, response = Problem),
    )
)]
async fn show(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<EventView>, ApiError> {
    let found = find(&state, &id).await?;
    let Some(index) = state.deliveries_of(found.shard) else {
        return Ok(Json(view(found, Vec::new(), None)));
    };
    let read = tokio::task::block_in_place(|| deliveries(index, &found));
    let (routing, deliveries) = read.map_err(|error| ApiError::ours(ProblemCode::Internal, &error))?;
    Ok(Json(view(found, deliveries, routing)))
}

/// The cursor first: what it has passed is matched by the time that deliveries are read.
fn deliveries(
    index: &DeliveryIndex,
    found: &FoundEvent,
) -> Result<(Option<Routing>, Vec<Delivery>), IndexError> {
    let lane = found.origin.as_ref().and_then(|origin| Lane::try_from(origin.lane).ok());
    let cursor = lane.map(|lane| index.cursor(lane)).transpose()?;
    let deliveries = index.of_event(found.position.sequence, found.position.index)?;
    let is_passed = cursor.is_none_or(|cursor| found.position.sequence <= cursor);
    let routing = match (found.verdict.kind(), deliveries.is_empty()) {
        (Kind::Stored, false) => Some(Routing::Routed),
        (Kind::Stored, true) if is_passed => Some(Routing::Unmatched),
        (Kind::Stored, true) => Some(Routing::ToMatch),
        _ => None,
    };
    Ok((routing, deliveries))
}

/// By the event's id, or its provider's: some of those look alike, as Stripe's `evt_…` do.
async fn find(state: &ApiState, id: &str) -> Result<FoundEvent, ApiError> {
    if let Ok(id) = id.parse()
        && let Some(found) = state.lookup.find(id).await?
    {
        return Ok(found);
    }
    let configuration = state.control.configuration();
    let sources = configuration.sources.iter().map(|(name, source)| (&source.tenant, name));
    let mut found = state.lookup.find_by_provider_id(sources, id).await?;
    match (found.pop(), found.is_empty()) {
        (Some(found), true) => Ok(found),
        (Some(last), false) => {
            found.push(last);
            let each = |found: &FoundEvent| format!("{} of {}", text_id(&found.event.id), found.event.source);
            let events: Vec<_> = found.iter().map(each).collect();
            let detail = format!("`{id}` is the provider's id of several events: {}", events.join(", "));
            Err(ApiError::new(ProblemCode::Conflict, detail))
        }
        (None, _) => Err(ApiError::new(
            ProblemCode::NotFound,
            format!(
                "there is no event `{id}`. It is no id of a known event; nor is it the provider's id of one, as far as \
                 signatures cover those, or as it is among the newest {MAX_LOOKS} blocks"
            ),
        )),
    }
}

/// Empty where the log holds no id, which it always does.
fn text_id(id: &[u8]) -> String {
    EventId::try_from(id).map(|id| id.to_string()).unwrap_or_default()
}

fn view(found: FoundEvent, deliveries: Vec<Delivery>, routing: Option<Routing>) -> EventView {
    let status = found.status().to_owned();
    let FoundEvent { shard, position, event, origin, appended_at_us, children, .. } = found;
    let request = event.request.as_ref();
    let handlers = event.handlers.iter().map(|run| HandlerRun {
        name: run.name.clone(),
        version: run.version,
        outcome: run.outcome.clone(),
    });
    EventView {
        id: text_id(&event.id),
        status,
        reason: reason(&event),
        trace: trace(&event),
        lane: Lane::try_from(event.lane).ok(),
        received_at: rfc3339(event.received_at_us),
        stored_at: rfc3339(appended_at_us),
        remote_address: request.map(|request| request.remote_address.clone()).unwrap_or_default(),
        raw_bytes: request.and_then(|request| request.raw.as_ref()).map(bytes::Bytes::len),
        payload_bytes: event.payload.as_ref().map(bytes::Bytes::len),
        handlers: handlers.collect(),
        parent: event.parent.as_ref().map(|parent| text_id(&parent.id)),
        children: children.iter().map(child).collect(),
        position: Position { shard, sequence: position.sequence, index: position.index },
        origin: origin.map(place),
        routing,
        deliveries,
        tenant: event.tenant,
        source: event.source,
        event_type: event.r#type,
        provider_id: event.provider_id,
        unread: event.unread.into_iter().map(|unread| (unread.field, unread.reason)).collect(),
        region: event.region,
        scheme: event.scheme,
        secret_id: event.secret_id,
        config_revision: event.config_revision,
    }
}

fn child(child: &Event) -> Child {
    let ordinal = child.parent.as_ref().map(|parent| parent.ordinal).unwrap_or_default();
    Child { ordinal, id: text_id(&child.id), event_type: child.r#type.clone() }
}

fn place(origin: proto::Origin) -> Origin {
    let proto::Origin { region, incarnation, lane, sequence } = origin;
    Origin { region, incarnation, lane: Lane::try_from(lane).ok(), sequence }
}

fn trace(event: &Event) -> Vec<String> {
    match &event.disposition {
        Some(Disposition::Quarantined(fault)) => fault.trace.clone(),
        _ => Vec::new(),
    }
}

fn reason(event: &Event) -> Option<String> {
    match event.disposition.as_ref()? {
        Disposition::Filtered(filtered) => Some(format!("{}: {}", filtered.handler, filtered.reason)),
        Disposition::Responded(responded) => {
            Some(format!("{}: answered {}", responded.handler, responded.status))
        }
        Disposition::Quarantined(fault) => {
            Some(format!("{}: {}: {}", fault.handler, fault.kind, fault.message))
        }
    }
}

impl From<LookupError> for ApiError {
    fn from(error: LookupError) -> Self {
        let code = match &error {
            LookupError::Log(_) => ProblemCode::Unavailable,
            LookupError::Ledger(_) | LookupError::Decode(_) => ProblemCode::Internal,
        };
        Self::ours(code, &error)
    }
}
