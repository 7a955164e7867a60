//! Shopify. The headers with the id and the type are not signed.

use floodgate_event::scheme::{Encoding, Template};

use crate::preset::{At, Preset};

pub(super) fn preset() -> Preset {
    let template = Template { encoding: Encoding::Base64, ..Template::hmac_sha256("x-shopify-hmac-sha256") };
    Preset {
        documentation: "https://shopify.dev/docs/apps/build/webhooks/subscribe/https",
        id: Some(At::Header("x-shopify-webhook-id")),
        event_type: Some(At::Header("x-shopify-topic")),
        ..Preset::signed("shopify", "Shopify", template)
    }
}
