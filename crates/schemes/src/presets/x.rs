//! X, once Twitter. Events have no id of their own.

use floodgate_event::scheme::{Encoding, Form, Template};

use crate::Handshake;
use crate::preset::Preset;

pub(super) fn preset() -> Preset {
    let template = Template {
        encoding: Encoding::Base64,
        form: Form::Prefix("sha256=".to_owned()),
        ..Template::hmac_sha256("x-twitter-webhooks-signature")
    };
    Preset {
        body_begins: "{",
        documentation: "https://docs.x.com/x-api/webhooks/introduction",
        handshakes: &[Handshake::XCrc],
        ..Preset::signed("x", "X (Twitter)", template)
    }
}
