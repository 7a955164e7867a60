//! Bitbucket Cloud. Its signature is HMAC-SHA256, in the header that GitHub uses for HMAC-SHA1.

use floodgate_event::scheme::{Form, Template};

use crate::preset::{At, Preset};

pub(super) fn preset() -> Preset {
    let template =
        Template { form: Form::Prefix("sha256=".to_owned()), ..Template::hmac_sha256("x-hub-signature") };
    Preset {
        documentation: "https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/",
        id: Some(At::Header("x-request-uuid")),
        event_type: Some(At::Header("x-event-key")),
        ..Preset::signed("bitbucket", "Bitbucket", template)
    }
}
