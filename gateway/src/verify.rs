//! Signatures, identity and the envelope. Only [`Verifier::verify`] builds a [`Verified`], and
//! [`Verifier::restore`] of what was one before.

mod envelope;
mod fields;
mod github;
mod headers;
mod keys;
mod named;
mod restore;
mod standard;
mod stripe;
#[cfg(test)]
mod tests;
mod trace_context;
#[cfg(test)]
mod vectors;

use std::sync::Arc;

use floodgate_event::id::{BodyHash, Identity};
use floodgate_event::proto::KeyKind;
use floodgate_event::shard::{OrderValue, shard_of};
use floodgate_event::snapshot::Source;
use floodgate_event::source::{Dedup, Intake, Locator, Scheme};
use floodgate_event::{EventId, Name, Secret, time};
use http::{HeaderMap, HeaderName};

use self::envelope::Signed;
use self::fields::{Fields, Found};
pub(crate) use self::keys::InvalidSecret;
use self::keys::Keys;
use crate::accept::{Received, Refusal};
use crate::stage::Verified;

/// What every event of this gateway and revision has in common.
#[derive(Debug, Clone)]
pub(crate) struct Deployment {
    pub(crate) region: Name,
    pub(crate) revision: u64,
    pub(crate) shards: u32,
}

/// Verifies the requests of one source, at one revision.
#[derive(Debug)]
pub(crate) struct Verifier {
    name: Name,
    tenant: Name,
    scheme: Scheme,
    deployment: Deployment,
    intake: Arc<Intake>,
    keys: Keys,
    fields: Fields,
    /// Whether the provider's id decides what is a duplicate, and what it is then.
    id_is: Option<KeyKind>,
    /// The header that the event's type stands in, where the signature does not cover it.
    unsigned_type: Option<HeaderName>,
}

impl Verifier {
    /// Prepares the keys, once per revision.
    ///
    /// # Errors
    /// If a secret is not one of the scheme's, or there is none: an unset secret must never verify anything.
    pub(crate) fn new(
        name: Name,
        source: &Source,
        secrets: Vec<(String, Secret)>,
        deployment: Deployment,
    ) -> Result<Self, InvalidSecret> {
        let scheme = source.scheme;
        let intake = Arc::new(source.intake.clone());
        let event_id = intake.event_id.clone().unwrap_or_else(|| scheme.default_event_id());
        let event_type = intake.event_type.clone().unwrap_or_else(|| scheme.default_event_type());
        let tolerance = source.tolerance_seconds.or(scheme.default_tolerance_seconds());
        Ok(Self {
            name,
            tenant: source.tenant.clone(),
            scheme,
            deployment,
            keys: Keys::new(scheme, secrets, tolerance)?,
            id_is: key_kind(scheme, intake.dedup, &event_id),
            unsigned_type: unsigned_header(scheme, &event_type),
            fields: Fields::new(&event_id, &event_type, intake.order_by.as_ref()),
            intake,
        })
    }

    /// The source's rules.
    pub(crate) fn intake(&self) -> &Intake {
        &self.intake
    }

    /// Refuses what carries no signature, before anybody reads its body.
    ///
    /// # Errors
    /// [`Refusal::SignatureRefused`].
    pub(crate) fn check_signed(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        self.keys.are_named_in(headers).map_err(Refusal::SignatureRefused)
    }

    /// Checks the signature and then, and only then, looks into the body.
    ///
    /// # Errors
    /// [`Refusal::SignatureRefused`], whatever is wrong with the body's encoding,
    /// or [`Refusal::TypeRefused`].
    pub(crate) fn verify(&self, mut request: Received) -> Result<Verified, Refusal> {
        let now = time::unix_micros(request.at()) / 1_000_000;
        let secret = self.keys.check(&request.parts().headers, request.raw(), now);
        let secret = secret.map_err(Refusal::SignatureRefused)?;
        let body = request.decode()?;
        let headers = &request.parts().headers;
        let found = self.fields.find(headers, &body);
        // Before anything is made of it: an unsigned type must not make many events of one signed body.
        if !self.intake.takes(found.event_type.as_deref().unwrap_or_default()) {
            return Err(Refusal::TypeRefused);
        }
        let body_hash = BodyHash::of(request.raw());
        let identity = self.identify(&found, &body_hash, headers);
        let shard = self.shard(identity.id, &found);
        let unread = found.unread().map(|(field, why)| (field, why.as_str())).collect();
        let signed = Signed { identity, body_hash, secret_id: secret };
        let event = self.envelope(&request, found, signed);
        let (intake, (raw, memory)) = (Arc::clone(&self.intake), request.into_counted());
        Ok(Verified { event, raw: Some(raw), body, intake, shard, unread, memory })
    }

    fn identify(&self, found: &Found, body_hash: &BodyHash, headers: &HeaderMap) -> Identity {
        let (tenant, source) = (self.tenant.as_str(), self.name.as_str());
        if self.intake.dedup == Dedup::None {
            return Identity { id: EventId::unique(), kind: KeyKind::None };
        }
        match (self.id_is, &found.id) {
            (Some(KeyKind::Delivery), Ok(id)) => {
                Identity { id: EventId::from_delivery(tenant, source, id), kind: KeyKind::Delivery }
            }
            (Some(kind), Ok(id)) => Identity { id: EventId::from_provider_id(tenant, source, id), kind },
            _ => self.identify_body(body_hash, headers),
        }
    }

    /// One body may come under two types, which are two events.
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

    fn shard(&self, id: EventId, found: &Found) -> u32 {
        let order = found.order.as_ref().and_then(|order| order.as_deref().ok());
        let order = order.map(|value| OrderValue { tenant: &self.tenant, source: &self.name, value });
        shard_of(id, order, self.deployment.shards)
    }
}

/// What the provider's id makes of an event's key; none where the body is the key.
fn key_kind(scheme: Scheme, dedup: Dedup, event_id: &Locator) -> Option<KeyKind> {
    match dedup {
        Dedup::Id | Dedup::Delivery if scheme.covers(event_id) => Some(KeyKind::Id),
        Dedup::Delivery => Some(KeyKind::Delivery),
        Dedup::Id | Dedup::Body | Dedup::None => None,
    }
}

/// `Locator` only takes names of headers.
fn unsigned_header(scheme: Scheme, event_type: &Locator) -> Option<HeaderName> {
    match event_type {
        Locator::Header(name) if !scheme.covers(event_type) => name.parse().ok(),
        _ => None,
    }
}
