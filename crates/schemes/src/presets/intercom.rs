//! Intercom. It signs with SHA-1.

use floodgate_event::scheme::{Algorithm, Form, Template};

use crate::Handshake;
use crate::preset::{At, Preset};

pub(super) fn preset() -> Preset {
    let template = Template {
        algorithm: Algorithm::HmacSha1,
        form: Form::Prefix("sha1=".to_owned()),
        ..Template::hmac_sha256("x-hub-signature")
    };
    Preset {
        documentation: "https://developers.intercom.com/docs/references/webhooks/webhook-models",
        handshakes: &[Handshake::IntercomHead],
        id: Some(At::Json("/id")),
        event_type: Some(At::Json("/topic")),
        ..Preset::signed("intercom", "Intercom", template)
    }
}
