//! `/v1/events/{id}`: what is known of one event.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use floodgate_deliver::DeliveryIndex;
use floodgate_deliver::index::IndexError;
use floodgate_deliver::index::view::DeliveryView;
use floodgate_event::proto::event::Disposition;
use floodgate_event::proto::verdict::Kind;
use floodgate_event::proto::{Event, Origin};
use floodgate_event::time::from_unix_micros;
use floodgate_event::{EventId, Lane, ProblemCode};
use floodgate_replicate::lookup::{FoundEvent, LookupError, MAX_LOOKS};
use serde::Serialize;
use time::OffsetDateTime;

use super::{ApiError, ApiState, Endpoint};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::get("/v1/events/{id}", show)]
}

/// An event, without its body.
#[derive(Serialize)]
struct EventView {
    id: String,
    status: &'static str,
    /// Why it is not delivered, where a handler decided that.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The functions that a handler failed in, innermost first, as far as its module names them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    trace: Vec<String>,
    tenant: String,
    source: String,
    #[serde(rename = "type")]
    event_type: String,
    /// The provider's own id.
    provider_id: String,
    /// Fields of the request that were there and could not be read, by why: an event whose type is among them
    /// has none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    unread: BTreeMap<String, String>,
    lane: Option<Lane>,
    region: String,
    #[serde(with = "time::serde::rfc3339")]
    received_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    stored_at: OffsetDateTime,
    scheme: String,
    secret_id: String,
    config_revision: u64,
    remote_address: String,
    raw_bytes: Option<usize>,
    payload_bytes: Option<usize>,
    handlers: Vec<HandlerView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    /// The events that a handler made of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    children: Vec<ChildView>,
    position: PositionView,
    origin: Option<OriginView>,
    /// Of a stored event: whether any destination gets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    routing: Option<Routing>,
    deliveries: Vec<DeliveryView>,
}

/// What became of a stored event as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Routing {
    /// At least one destination gets it, or got it.
    Routed,
    /// No destination subscribed to it.
    Unmatched,
    /// It was not matched to destinations yet.
    ToMatch,
}

#[derive(Serialize)]
struct HandlerView {
    name: String,
    version: u32,
    outcome: String,
}

#[derive(Serialize)]
struct ChildView {
    ordinal: u32,
    id: String,
    #[serde(rename = "type")]
    event_type: String,
}

/// In the central log.
#[derive(Serialize)]
struct PositionView {
    shard: u32,
    sequence: u64,
    index: u32,
}

/// In the region's stream.
#[derive(Serialize)]
struct OriginView {
    region: String,
    incarnation: String,
    lane: Option<Lane>,
    sequence: u64,
}

async fn show(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<EventView>, ApiError> {
    let found = find(&state, &id).await?;
    let Some(index) = state.deliveries_of(found.shard) else {
        return Ok(Json(EventView::new(found, Vec::new(), None)));
    };
    let read = tokio::task::block_in_place(|| deliveries(index, &found));
    let (routing, deliveries) = read.map_err(|error| ApiError::ours(ProblemCode::Internal, &error))?;
    Ok(Json(EventView::new(found, deliveries, routing)))
}

/// The cursor first: what it has passed is matched by the time that deliveries are read.
fn deliveries(
    index: &DeliveryIndex,
    found: &FoundEvent,
) -> Result<(Option<Routing>, Vec<DeliveryView>), IndexError> {
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

impl EventView {
    fn new(found: FoundEvent, deliveries: Vec<DeliveryView>, routing: Option<Routing>) -> Self {
        let status = found.status();
        let FoundEvent { shard, position, event, origin, appended_at_us, children, .. } = found;
        let request = event.request.as_ref();
        let handlers = event.handlers.iter().map(|run| HandlerView {
            name: run.name.clone(),
            version: run.version,
            outcome: run.outcome.clone(),
        });
        let children = children.iter().map(ChildView::from).collect();
        Self {
            id: text_id(&event.id),
            status,
            reason: reason(&event),
            trace: trace(&event),
            lane: Lane::try_from(event.lane).ok(),
            received_at: from_unix_micros(event.received_at_us).into(),
            stored_at: from_unix_micros(appended_at_us).into(),
            remote_address: request.map(|request| request.remote_address.clone()).unwrap_or_default(),
            raw_bytes: request.and_then(|request| request.raw.as_ref()).map(bytes::Bytes::len),
            payload_bytes: event.payload.as_ref().map(bytes::Bytes::len),
            handlers: handlers.collect(),
            parent: event.parent.as_ref().map(|parent| text_id(&parent.id)),
            children,
            position: PositionView { shard, sequence: position.sequence, index: position.index },
            origin: origin.map(OriginView::from),
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
}

impl From<&Event> for ChildView {
    fn from(child: &Event) -> Self {
        let ordinal = child.parent.as_ref().map(|parent| parent.ordinal).unwrap_or_default();
        Self { ordinal, id: text_id(&child.id), event_type: child.r#type.clone() }
    }
}

impl From<Origin> for OriginView {
    fn from(origin: Origin) -> Self {
        let Origin { region, incarnation, lane, sequence } = origin;
        Self { region, incarnation, lane: Lane::try_from(lane).ok(), sequence }
    }
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
