//! Linear. The time is in the body, which is signed. The header with the id is not signed.

use floodgate_event::scheme::{Template, Timestamp, TimestampAt, Unit};

use crate::preset::{At, Preset};

pub(super) fn preset() -> Preset {
    let template = Template {
        timestamp: Some(Timestamp {
            at: TimestampAt::Json("/webhookTimestamp".to_owned()),
            unit: Unit::Milliseconds,
        }),
        ..Template::hmac_sha256("linear-signature")
    };
    Preset {
        documentation: "https://linear.app/developers/webhooks#securing-webhooks",
        tolerance_seconds: Some(60),
        id: Some(At::Header("linear-delivery")),
        event_type: Some(At::Json("/type")),
        ..Preset::signed("linear", "Linear", template)
    }
}
