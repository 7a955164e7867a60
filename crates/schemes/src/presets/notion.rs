//! Notion. It chooses the secret, and sends it once.

use floodgate_event::scheme::{Form, Template};

use crate::Handshake;
use crate::preset::{At, Preset};

pub(super) fn preset() -> Preset {
    let template =
        Template { form: Form::Prefix("sha256=".to_owned()), ..Template::hmac_sha256("x-notion-signature") };
    Preset {
        documentation: "https://developers.notion.com/reference/webhooks",
        id: Some(At::Json("/id")),
        event_type: Some(At::Json("/type")),
        handshakes: &[Handshake::NotionToken],
        secret_in_body: true,
        ..Preset::signed("notion", "Notion", template)
    }
}
