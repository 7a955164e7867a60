//! Calendly. Events have no id of their own.

use floodgate_event::scheme::{Form, Template, Timestamp, TimestampAt, Unit};

use crate::preset::{At, Preset};

pub(super) fn preset() -> Preset {
    let template = Template {
        form: Form::Pairs { separator: ',', name: "v1".to_owned() },
        content: "{timestamp}.{body}".to_owned(),
        timestamp: Some(Timestamp { at: TimestampAt::Pair("t".to_owned()), unit: Unit::Seconds }),
        ..Template::hmac_sha256("calendly-webhook-signature")
    };
    Preset {
        documentation: "https://developer.calendly.com/api-docs/4c305798a61d3-webhook-signatures",
        tolerance_seconds: Some(180),
        event_type: Some(At::Json("/event")),
        ..Preset::signed("calendly", "Calendly", template)
    }
}
