//! Wise. All its customers share one key, so a handler has to check `subscription_id`.

use floodgate_event::scheme::{Algorithm, Encoding, KeyFormat, Template};

use crate::preset::{At, Preset};

pub(super) fn preset() -> Preset {
    let template = Template {
        algorithm: Algorithm::RsaSha256,
        key: KeyFormat::Pem,
        encoding: Encoding::Base64,
        ..Template::hmac_sha256("x-signature-sha256")
    };
    Preset {
        documentation: "https://docs.wise.com/guides/developer/webhooks/event-handling",
        uses: &["public_keys"],
        id: Some(At::Header("x-delivery-id")),
        event_type: Some(At::Json("/event_type")),
        ..Preset::signed("wise", "Wise", template)
    }
}
