//! GitHub's older signature, for servers that send no other.

use floodgate_event::scheme::{Algorithm, Form, Template};

use crate::preset::{At, Preset};

pub(super) fn preset() -> Preset {
    let template = Template {
        algorithm: Algorithm::HmacSha1,
        form: Form::Prefix("sha1=".to_owned()),
        ..Template::hmac_sha256("x-hub-signature")
    };
    Preset {
        documentation: "https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers",
        id: Some(At::Header("x-github-delivery")),
        event_type: Some(At::Header("x-github-event")),
        ..Preset::signed("github-sha1", "GitHub (SHA-1)", template)
    }
}
