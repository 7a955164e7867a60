//! Slack: the Events API, commands and interactions.

use floodgate_event::scheme::{Form, Template, Timestamp, TimestampAt, Unit};

use crate::Handshake;
use crate::preset::{At, Preset};

pub(super) fn preset() -> Preset {
    let template = Template {
        form: Form::Prefix("v0=".to_owned()),
        content: "v0:{timestamp}:{body}".to_owned(),
        timestamp: Some(Timestamp {
            at: TimestampAt::Header("x-slack-request-timestamp".to_owned()),
            unit: Unit::Seconds,
        }),
        ..Template::hmac_sha256("x-slack-signature")
    };
    Preset {
        documentation: "https://docs.slack.dev/authentication/verifying-requests-from-slack",
        tolerance_seconds: Some(300),
        id: Some(At::Json("/event_id")),
        event_type: Some(At::Json("/event/type")),
        handshakes: &[Handshake::SlackUrlVerification],
        ..Preset::signed("slack", "Slack", template)
    }
}
