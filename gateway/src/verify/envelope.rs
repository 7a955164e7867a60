//! Builds the envelope: everything that is known about an event before handlers see it.

use std::net::SocketAddr;

use bytes::Bytes;
use floodgate_event::id::{BodyHash, Identity};
use floodgate_event::proto::{self, Event, Header};
use floodgate_event::time;
use floodgate_schemes::Scheme;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http::request::Parts;

use super::fields::Found;
use super::{Verifier, trace_context};
use crate::accept::Received;

/// What the check of the signature adds to the envelope.
pub(super) struct Signed<'a> {
    pub(super) identity: Identity,
    pub(super) body_hash: BodyHash,
    /// The id of the secret that signed.
    pub(super) secret_id: &'a str,
}

impl Verifier {
    pub(super) fn envelope(&self, request: &Received, found: Found, signed: Signed<'_>) -> Event {
        let shared = self.shared(request, signed.secret_id);
        self.complete(shared, found, signed.identity, &signed.body_hash)
    }

    /// What all events of a request have in common.
    pub(super) fn shared(&self, request: &Received, secret_id: &str) -> Event {
        let parts = request.parts();
        let (traceparent, tracestate) = trace_context::read(&parts.headers);
        Event {
            tenant: self.tenant.to_string(),
            source: self.name.to_string(),
            region: self.deployment.region.to_string(),
            received_at_us: time::unix_micros(request.at()),
            request: Some(describe(parts, request.peer(), &self.scheme)),
            scheme: self.scheme.preset().name.to_owned(),
            secret_id: secret_id.to_owned(),
            config_revision: self.deployment.revision,
            content_type: content_type(&parts.headers),
            traceparent,
            tracestate,
            ..Event::default()
        }
    }

    /// Adds what is an event's own.
    pub(super) fn complete(
        &self,
        shared: Event,
        found: Found,
        identity: Identity,
        body_hash: &BodyHash,
    ) -> Event {
        let (unread, provider_id) = (found.odd(), found.shown_id());
        let event_type = found.event_type.unwrap_or_default();
        Event {
            id: identity.id.as_bytes().to_vec(),
            key_kind: identity.kind.into(),
            provider_id,
            lane: proto::Lane::from(self.intake.lane_of(&event_type)).into(),
            r#type: event_type,
            body_hash: body_hash.as_bytes().to_vec(),
            unread,
            ..shared
        }
    }
}

fn describe(parts: &Parts, peer: SocketAddr, scheme: &Scheme) -> proto::Request {
    let pairs = parts.headers.iter().filter(|(name, _)| !scheme.is_secret_header(name.as_str()));
    let mut headers = Vec::with_capacity(parts.headers.len());
    headers.extend(pairs.map(|(name, value)| Header {
        name: name.as_str().to_owned(),
        value: Bytes::copy_from_slice(value.as_bytes()),
    }));
    proto::Request {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: without(scheme.preset().secret_parameters, parts.uri.query().unwrap_or_default()),
        remote_address: peer.to_string(),
        headers,
        raw: None,
    }
}

/// The query without the parameters of these names.
fn without(secret: &[&str], query: &str) -> String {
    let is_secret = |pair: &str| {
        let mut parsed = url::form_urlencoded::parse(pair.as_bytes());
        parsed.next().is_some_and(|(name, _)| secret.contains(&&*name))
    };
    query.split('&').filter(|pair| !is_secret(pair)).collect::<Vec<_>>().join("&")
}

/// The name and value as text, with U+FFFD for bytes that are not UTF-8. The request's headers keep the
/// bytes, and consumers get those.
fn content_type(headers: &HeaderMap) -> String {
    headers
        .get(CONTENT_TYPE)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .unwrap_or_default()
}
