//! Okta's event hooks. Each request has a fixed text, in a header that the operator chooses.

use crate::Handshake;
use crate::preset::{At, Preset, Signing};
use crate::{clear, describe};

const HEADER: &str = "authorization";

pub(super) fn preset() -> Preset {
    let signing = Signing::Code(|settings, secrets| {
        clear::in_header(settings.header.as_deref().unwrap_or(HEADER), secrets)
    });
    Preset {
        documentation: "https://developer.okta.com/docs/concepts/event-hooks/",
        uses: &["secrets", "header"],
        id: Some(At::Json("/eventId")),
        event_type: Some(At::Json("/data/events/0/eventType")),
        handshakes: &[Handshake::OktaChallenge],
        secret_headers: &[HEADER],
        words: |settings| describe::secret_in(settings.header.as_deref().unwrap_or(HEADER)),
        ..Preset::coded("okta", "Okta event hooks", signing)
    }
}
