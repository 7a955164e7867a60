//! Azure Event Grid. Each request has the query of the webhook's URL, so the query can carry a secret.
//!
//! A request may carry several events, and a retry may carry others, so no id identifies a request.

use crate::Handshake;
use crate::clear::{self, Place};
use crate::preset::{At, Preset, Signing};

const PARAMETER: &str = "secret";

pub(super) fn preset() -> Preset {
    let signing = Signing::Code(|_, secrets| clear::prepare(vec![Place::Parameter(PARAMETER)], secrets));
    Preset {
        documentation: "https://learn.microsoft.com/azure/event-grid/security-authentication#using-client-secret-as-a-query-parameter",
        event_type: Some(At::Json("/0/eventType")),
        handshakes: &[Handshake::EventGridValidation, Handshake::CloudEventsOptions],
        secret_parameters: &[PARAMETER],
        ..Preset::coded("azure-event-grid", "Azure Event Grid", signing)
    }
}
