//! Meta: Messenger, Instagram, WhatsApp and Pages. A request carries several changes and has no id.

use floodgate_event::scheme::{Form, Template};

use crate::Handshake;
use crate::preset::{At, Preset};

pub(super) fn preset() -> Preset {
    let template =
        Template { form: Form::Prefix("sha256=".to_owned()), ..Template::hmac_sha256("x-hub-signature-256") };
    Preset {
        documentation: "https://developers.facebook.com/docs/graph-api/webhooks/getting-started",
        uses: &["secrets", "verify_token"],
        event_type: Some(At::Json("/object")),
        handshakes: &[Handshake::MetaSubscribe],
        ..Preset::signed("meta", "Meta", template)
    }
}
