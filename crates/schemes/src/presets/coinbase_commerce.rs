//! Coinbase Commerce.

use floodgate_event::scheme::Template;

use crate::preset::{At, Preset};

pub(super) fn preset() -> Preset {
    let template = Template::hmac_sha256("x-cc-webhook-signature");
    Preset {
        documentation: "https://docs.cdp.coinbase.com/commerce/introduction/webhooks-security",
        id: Some(At::Json("/event/id")),
        event_type: Some(At::Json("/event/type")),
        ..Preset::signed("coinbase-commerce", "Coinbase Commerce", template)
    }
}
