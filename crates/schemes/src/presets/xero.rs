//! Xero. Its secret looks like base64, but is used as it is. Xero tests an endpoint with wrong signatures on
//! purpose, and wants answers without a body.

use floodgate_event::scheme::{Encoding, Template};

use crate::Handshake;
use crate::preset::Preset;

pub(super) fn preset() -> Preset {
    let template = Template { encoding: Encoding::Base64, ..Template::hmac_sha256("x-xero-signature") };
    Preset {
        documentation: "https://developer.xero.com/documentation/guides/webhooks/configuring-your-server/",
        accepted_body: Some(""),
        without_bodies: true,
        handshakes: &[Handshake::XeroIntent],
        ..Preset::signed("xero", "Xero", template)
    }
}
