//! SendGrid's Event Webhook, whose requests carry several events, and its Inbound Parse Webhook, which signs
//! in the same way and sends a form (`multipart/form-data`).

use floodgate_event::scheme::{Algorithm, Encoding, KeyFormat, Template, Timestamp, TimestampAt, Unit};

use crate::preset::Preset;

pub(super) fn preset() -> Preset {
    let template = Template {
        algorithm: Algorithm::EcdsaP256Sha256,
        key: KeyFormat::Base64,
        encoding: Encoding::Base64,
        content: "{timestamp}{body}".to_owned(),
        timestamp: Some(Timestamp {
            at: TimestampAt::Header("x-twilio-email-event-webhook-timestamp".to_owned()),
            unit: Unit::Seconds,
        }),
        ..Template::hmac_sha256("x-twilio-email-event-webhook-signature")
    };
    Preset {
        // Events are JSON, and a form begins with `--` and its boundary. Nothing separates the time from the
        // body, so the body must not begin with a digit.
        body_begins: "[{-",
        documentation: "https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features",
        uses: &["public_keys"],
        ..Preset::signed("sendgrid", "SendGrid", template)
    }
}
