//! Zoom. Events have no id of their own.

use floodgate_event::scheme::{Form, Template, Timestamp, TimestampAt, Unit};

use crate::Handshake;
use crate::preset::{At, Preset};

pub(super) fn preset() -> Preset {
    let template = Template {
        form: Form::Prefix("v0=".to_owned()),
        content: "v0:{timestamp}:{body}".to_owned(),
        timestamp: Some(Timestamp {
            at: TimestampAt::Header("x-zm-request-timestamp".to_owned()),
            unit: Unit::Seconds,
        }),
        ..Template::hmac_sha256("x-zm-signature")
    };
    Preset {
        documentation: "https://developers.zoom.us/docs/api/webhooks/#verify-webhook-events",
        tolerance_seconds: Some(300),
        event_type: Some(At::Json("/event")),
        handshakes: &[Handshake::ZoomUrlValidation],
        ..Preset::signed("zoom", "Zoom", template)
    }
}
