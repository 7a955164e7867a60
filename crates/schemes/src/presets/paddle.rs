//! Paddle Billing.
//!
//! Paddle's libraries allow 5 s. Paddle signs retries anew, and deduplication stops a copy that comes within
//! 300 s.

use floodgate_event::scheme::{Form, Template, Timestamp, TimestampAt, Unit};

use crate::preset::{At, Preset};

pub(super) fn preset() -> Preset {
    let template = Template {
        form: Form::Pairs { separator: ';', name: "h1".to_owned() },
        content: "{timestamp}:{body}".to_owned(),
        timestamp: Some(Timestamp { at: TimestampAt::Pair("ts".to_owned()), unit: Unit::Seconds }),
        ..Template::hmac_sha256("paddle-signature")
    };
    Preset {
        documentation: "https://developer.paddle.com/webhooks/signature-verification",
        tolerance_seconds: Some(300),
        id: Some(At::Json("/event_id")),
        event_type: Some(At::Json("/event_type")),
        ..Preset::signed("paddle", "Paddle Billing", template)
    }
}
