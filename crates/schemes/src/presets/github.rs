//! GitHub. The headers with the id and the type are not signed.

use floodgate_event::scheme::{Form, Template};

use crate::preset::{At, Preset};

pub(super) fn preset() -> Preset {
    let template =
        Template { form: Form::Prefix("sha256=".to_owned()), ..Template::hmac_sha256("x-hub-signature-256") };
    Preset {
        documentation: "https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries",
        id: Some(At::Header("x-github-delivery")),
        event_type: Some(At::Header("x-github-event")),
        ..Preset::signed("github", "GitHub", template)
    }
}
