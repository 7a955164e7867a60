//! What a refusal leaves behind: a row of the record, and the request itself if it is held.

use std::net::SocketAddr;
use std::time::SystemTime;

use bytes::Bytes;
use floodgate_event::format::VERSION;
use floodgate_event::proto::{Header, HeldRequest, Reject};
use floodgate_event::time;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue};

use super::served::Source;
use crate::accept::{Arrived, Body, Refusal};
use floodgate_rejects::{Shown, reason};

/// The row of a refusal in the record, with the request as far as it arrived.
pub(super) fn row(
    refusal: &Refusal,
    request: Option<&Arrived>,
    source: Option<&Source>,
    peer: SocketAddr,
) -> Reject {
    let at_us = time::unix_micros(SystemTime::now());
    let body = request.and_then(|request| request.body.as_ref());
    let shown = request.map(|request| {
        let show = |shown: Shown<'_>| shown.request(&request.parts, body.map_or(&[][..], |body| &body.raw));
        source.map_or_else(|| show(Shown::UNKNOWN), |source| source.verifier.shows(show))
    });
    Reject {
        at_us,
        first_at_us: at_us,
        tenant: source.map(|source| source.verifier.tenant().to_string()).unwrap_or_default(),
        code: refusal.outcome().to_owned(),
        status: refusal.status().as_u16().into(),
        step: refusal.step().unwrap_or_default().to_owned(),
        reason: reason(refusal),
        scheme: source.map(|source| source.verifier.preset().name.to_owned()).unwrap_or_default(),
        peer: peer.to_string(),
        request: shown,
        body_bytes: body.map(|body| body.raw.len() as u64),
        ..Reject::default()
    }
}

/// The request of a refusal, as it arrived.
pub(super) fn held_request(parts: &Parts, body: &Body, peer: SocketAddr) -> HeldRequest {
    let header = |(name, value): (&HeaderName, &HeaderValue)| Header {
        name: name.as_str().to_owned(),
        value: Bytes::copy_from_slice(value.as_bytes()),
    };
    HeldRequest {
        version: VERSION,
        received_at_us: time::unix_micros(body.at),
        peer: peer.to_string(),
        method: parts.method.as_str().to_owned(),
        target: parts.uri.path_and_query().map_or("/", PathAndQuery::as_str).to_owned(),
        headers: parts.headers.iter().map(header).collect(),
        body: body.raw.clone(),
        client_certificates: body
            .client
            .iter()
            .flat_map(|client| client.certificates().chain())
            .cloned()
            .collect(),
    }
}
