//! Twilio, with a shared key that the customer created for webhooks, in place of the account's token.
//!
//! Each request names its algorithm in a header that is not signed. That header does not count: this preset
//! accepts only HMAC-SHA256.

use floodgate_event::scheme::Algorithm;

use super::twilio;
use crate::preset::{Preset, Signing};

pub(super) fn preset() -> Preset {
    let signing =
        Signing::Code(|settings, secrets| twilio::prepare(Algorithm::HmacSha256, settings, secrets));
    Preset {
        uses: &["secrets", "url"],
        documentation: "https://www.twilio.com/docs/usage/webhooks/webhook-shared-keys",
        ..Preset::coded("twilio-shared-key", "Twilio (shared key, HMAC-SHA256)", signing)
    }
}
