//! The envelope: everything known of an event before handlers see it.

use std::net::SocketAddr;

use bytes::Bytes;
use floodgate_event::id::{BodyHash, Identity};
use floodgate_event::proto::{self, Event, Header};
use floodgate_event::source::Scheme;
use floodgate_event::time;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http::request::Parts;

use super::fields::Found;
use super::{Verifier, trace_context};
use crate::accept::Received;

/// What the check of a request's signature leaves for its envelope.
pub(super) struct Signed<'a> {
    pub(super) identity: Identity,
    pub(super) body_hash: BodyHash,
    /// Which of the source's secrets signed.
    pub(super) secret_id: &'a str,
}

impl Verifier {
    pub(super) fn envelope(&self, request: &Received, found: Found, signed: Signed<'_>) -> Event {
        let parts = request.parts();
        let (unread, provider_id) = (found.odd(), found.shown_id());
        let event_type = found.event_type.unwrap_or_default();
        let (traceparent, tracestate) = trace_context::read(&parts.headers);
        Event {
            id: signed.identity.id.as_bytes().to_vec(),
            key_kind: signed.identity.kind.into(),
            tenant: self.tenant.to_string(),
            source: self.name.to_string(),
            provider_id,
            lane: proto::Lane::from(self.intake.lane_of(&event_type)).into(),
            r#type: event_type,
            region: self.deployment.region.to_string(),
            received_at_us: time::unix_micros(request.at()),
            body_hash: signed.body_hash.as_bytes().to_vec(),
            request: Some(describe(parts, request.peer(), self.scheme)),
            scheme: self.scheme.as_str().to_owned(),
            secret_id: signed.secret_id.to_owned(),
            config_revision: self.deployment.revision,
            content_type: content_type(&parts.headers),
            traceparent,
            tracestate,
            unread,
            ..Event::default()
        }
    }
}

fn describe(parts: &Parts, peer: SocketAddr, scheme: Scheme) -> proto::Request {
    let secret = scheme.secret_headers();
    let pairs = parts.headers.iter().filter(|(name, _)| !secret.contains(&name.as_str()));
    let mut headers = Vec::with_capacity(parts.headers.len());
    headers.extend(pairs.map(|(name, value)| Header {
        name: name.as_str().to_owned(),
        value: Bytes::copy_from_slice(value.as_bytes()),
    }));
    proto::Request {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        remote_address: peer.to_string(),
        headers,
        raw: None,
    }
}

/// As text: bytes that are none become U+FFFD. As received it stands among the request's headers, and
/// goes to consumers from there.
fn content_type(headers: &HeaderMap) -> String {
    headers
        .get(CONTENT_TYPE)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .unwrap_or_default()
}
