//! Jira Cloud.

use floodgate_event::scheme::{Form, Template};

use crate::preset::{At, Preset};

pub(super) fn preset() -> Preset {
    let template =
        Template { form: Form::Prefix("sha256=".to_owned()), ..Template::hmac_sha256("x-hub-signature") };
    Preset {
        documentation: "https://developer.atlassian.com/cloud/jira/platform/webhooks/",
        id: Some(At::Header("x-atlassian-webhook-identifier")),
        event_type: Some(At::Json("/webhookEvent")),
        ..Preset::signed("jira", "Jira", template)
    }
}
