//! HubSpot's third version, which signs the method and the URL. A request carries several events.

use floodgate_event::scheme::{Encoding, Template, Timestamp, TimestampAt, Unit};

use crate::preset::Preset;

pub(super) fn preset() -> Preset {
    let template = Template {
        encoding: Encoding::Base64,
        content: "{method}{url}{body}{timestamp}".to_owned(),
        timestamp: Some(Timestamp {
            at: TimestampAt::Header("x-hubspot-request-timestamp".to_owned()),
            unit: Unit::Milliseconds,
        }),
        ..Template::hmac_sha256("x-hubspot-signature-v3")
    };
    Preset {
        body_begins: "[{",
        documentation: "https://developers.hubspot.com/docs/apps/legacy-apps/authentication/validating-requests",
        uses: &["secrets", "url"],
        tolerance_seconds: Some(300),
        ..Preset::signed("hubspot", "HubSpot v3", template)
    }
}
