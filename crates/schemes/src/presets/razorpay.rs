//! Razorpay. The header with the id is not signed.

use floodgate_event::scheme::Template;

use crate::preset::{At, Preset};

pub(super) fn preset() -> Preset {
    let template = Template::hmac_sha256("x-razorpay-signature");
    Preset {
        documentation: "https://razorpay.com/docs/webhooks/validate-test/",
        id: Some(At::Header("x-razorpay-event-id")),
        event_type: Some(At::Json("/event")),
        ..Preset::signed("razorpay", "Razorpay", template)
    }
}
