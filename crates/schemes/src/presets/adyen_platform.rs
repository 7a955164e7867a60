//! Adyen's platform webhooks. A header has the signature of the body.

use floodgate_event::scheme::{Encoding, KeyFormat, Template};

use crate::preset::{At, Preset};

pub(super) fn preset() -> Preset {
    let template = Template {
        key: KeyFormat::Hex,
        encoding: Encoding::Base64,
        ..Template::hmac_sha256("hmacsignature")
    };
    Preset {
        documentation: "https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures/",
        event_type: Some(At::Json("/type")),
        ..Preset::signed("adyen-platform", "Adyen platform webhooks", template)
    }
}
