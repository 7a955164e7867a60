//! Square. It signs the URL that it was given, and the body.

use floodgate_event::scheme::{Encoding, Template};

use crate::preset::{At, Preset};

pub(super) fn preset() -> Preset {
    let template = Template {
        encoding: Encoding::Base64,
        content: "{url}{body}".to_owned(),
        ..Template::hmac_sha256("x-square-hmacsha256-signature")
    };
    Preset {
        body_begins: "{",
        documentation: "https://developer.squareup.com/docs/webhooks/step3validate",
        uses: &["secrets", "url"],
        id: Some(At::Json("/event_id")),
        event_type: Some(At::Json("/type")),
        ..Preset::signed("square", "Square", template)
    }
}
