//! DocuSign Connect. Each key of an account has a header of its own.

use floodgate_event::scheme::{Encoding, Form, Template};

use crate::preset::{At, Preset};

pub(super) fn preset() -> Preset {
    let template = Template {
        encoding: Encoding::Base64,
        form: Form::Numbered,
        ..Template::hmac_sha256("x-docusign-signature-")
    };
    Preset {
        documentation: "https://developers.docusign.com/platform/webhooks/connect/validate/",
        event_type: Some(At::Json("/event")),
        ..Preset::signed("docusign", "DocuSign Connect", template)
    }
}
