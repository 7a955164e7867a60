//! Stripe. The HMAC key is the whole secret, with its `whsec_`.

use floodgate_event::scheme::{Form, Template, Timestamp, TimestampAt, Unit};

use crate::preset::{At, Preset};

pub(super) fn preset() -> Preset {
    let template = Template {
        form: Form::Pairs { separator: ',', name: "v1".to_owned() },
        content: "{timestamp}.{body}".to_owned(),
        timestamp: Some(Timestamp { at: TimestampAt::Pair("t".to_owned()), unit: Unit::Seconds }),
        ..Template::hmac_sha256("stripe-signature")
    };
    Preset {
        documentation: "https://docs.stripe.com/webhooks/signature",
        tolerance_seconds: Some(300),
        id: Some(At::Json("/id")),
        event_type: Some(At::Json("/type")),
        ..Preset::signed("stripe", "Stripe", template)
    }
}
