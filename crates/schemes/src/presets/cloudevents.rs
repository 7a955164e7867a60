//! CloudEvents' webhooks. The secret is a bearer token, or in the query.
//!
//! An id is unique only among the events of one CloudEvents `source`. A provider that sends the events of
//! several needs `dedup = "body"`, unless its ids are unique among all of them.

use crate::Handshake;
use crate::clear::{self, Place};
use crate::preset::{At, Preset, Signing};

const PARAMETER: &str = "access_token";

pub(super) fn preset() -> Preset {
    let signing = Signing::Code(|_, secrets| {
        clear::prepare(vec![Place::Authorization("Bearer"), Place::Parameter(PARAMETER)], secrets)
    });
    Preset {
        documentation: "https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md",
        id: Some(At::Header("ce-id")),
        event_type: Some(At::Header("ce-type")),
        handshakes: &[Handshake::CloudEventsOptions],
        secret_headers: &["authorization"],
        secret_parameters: &[PARAMETER],
        ..Preset::coded("cloudevents", "CloudEvents", signing)
    }
}
