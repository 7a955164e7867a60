//! Typeform.

use floodgate_event::scheme::{Encoding, Form, Template};

use crate::preset::{At, Preset};

pub(super) fn preset() -> Preset {
    let template = Template {
        encoding: Encoding::Base64,
        form: Form::Prefix("sha256=".to_owned()),
        ..Template::hmac_sha256("typeform-signature")
    };
    Preset {
        documentation: "https://www.typeform.com/developers/webhooks/secure-your-webhooks/",
        id: Some(At::Json("/event_id")),
        event_type: Some(At::Json("/event_type")),
        ..Preset::signed("typeform", "Typeform", template)
    }
}
