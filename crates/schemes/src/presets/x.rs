//! X, once Twitter. Events have no id of their own. A body that could be a token of the handshake is refused,
//! because the handshake signs tokens with the same key, for anybody.

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
        documentation: "https://docs.x.com/x-api/webhooks/introduction",
        handshakes: &[Handshake::XCrc],
        ..Preset::signed("x", "X (Twitter)", template)
    }
}
