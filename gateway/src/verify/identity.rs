//! What makes two requests one event, and which shard an event belongs to.

use floodgate_event::EventId;
use floodgate_event::id::{BodyHash, Identity};
use floodgate_event::proto::KeyKind;
use floodgate_event::shard::{OrderValue, ShardId, shard_of};
use floodgate_event::source::{Dedup, Locator};
use floodgate_schemes::{NoPublishedKeys, Scheme};
use http::{HeaderMap, HeaderName};

use super::fields::Found;
use super::{Verifier, as_received};
use crate::accept::Received;

impl Verifier {
    pub(super) fn identify(&self, found: &Found, body_hash: &BodyHash, request: &Received) -> Identity {
        let (tenant, source) = (self.tenant.as_str(), self.name.as_str());
        if self.is_unique {
            let held =
                request.copy_of().map(|digest| EventId::from_delivery(tenant, source, &digest.to_string()));
            return Identity { id: held.unwrap_or_else(EventId::unique), kind: KeyKind::None };
        }
        match (self.id_is, &found.id) {
            (Some(KeyKind::Delivery), Ok(id)) => {
                Identity { id: EventId::from_delivery(tenant, source, id), kind: KeyKind::Delivery }
            }
            (Some(kind), Ok(id)) => Identity { id: EventId::from_provider_id(tenant, source, id), kind },
            _ => {
                // If several bodies have the same signature, they are the same event.
                let content = self.scheme.content(&as_received(request, &NoPublishedKeys));
                let content = content.map(|content| BodyHash::of(&content));
                self.identify_body(content.as_ref().unwrap_or(body_hash), &request.parts().headers)
            }
        }
    }

    /// Identifies an event by its body, and by its type if that is not signed: one body under two types is
    /// two events.
    fn identify_body(&self, body: &BodyHash, headers: &HeaderMap) -> Identity {
        let (tenant, source) = (self.tenant.as_str(), self.name.as_str());
        match self.unsigned_type.as_ref().and_then(|name| headers.get(name)) {
            Some(event_type) => Identity {
                id: EventId::from_typed_body(tenant, source, body, event_type.as_bytes()),
                kind: KeyKind::TypedBody,
            },
            None => Identity { id: EventId::from_body(tenant, source, body), kind: KeyKind::Body },
        }
    }

    pub(super) fn shard(&self, id: EventId, found: &Found) -> ShardId {
        let order = found.order.as_ref().and_then(|order| order.as_deref().ok());
        let order = order.map(|value| OrderValue { tenant: &self.tenant, source: &self.name, value });
        shard_of(id, order, self.deployment.shards)
    }
}

/// Returns the key that the provider's id makes. None if the body makes it.
pub(super) fn key_kind(scheme: &Scheme, dedup: Dedup, event_id: &Locator) -> Option<KeyKind> {
    match dedup {
        Dedup::Id | Dedup::Delivery if scheme.covers(event_id) => Some(KeyKind::Id),
        Dedup::Delivery => Some(KeyKind::Delivery),
        Dedup::Id | Dedup::Body | Dedup::None => None,
    }
}

/// `Locator` only accepts names of headers.
pub(super) fn unsigned_header(scheme: &Scheme, event_type: &Locator) -> Option<HeaderName> {
    match event_type {
        Locator::Header(name) if !scheme.covers(event_type) => name.parse().ok(),
        _ => None,
    }
}
