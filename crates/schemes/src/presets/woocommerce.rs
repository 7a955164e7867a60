//! WooCommerce. It decodes HTML entities in its secret before it signs, as WordPress's
//! `wp_specialchars_decode` does. Its id counts seconds, so two events in the same second share it.

use floodgate_event::Secret;
use floodgate_event::scheme::{Encoding, Settings, Template};

use crate::keys::{NamedSecret, Secrets};
use crate::preset::{At, Preset, Signing};
use crate::verify::Verify;
use crate::{Handshake, InvalidSettings, describe, template};

/// Each entity, with the character that it stands for. The ampersand is last, so that nothing is decoded
/// twice.
const ENTITIES: [(&str, &str); 5] =
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#039;", "'"), ("&amp;", "&")];

pub(super) fn preset() -> Preset {
    Preset {
        documentation: "https://woocommerce.com/document/webhooks/",
        event_type: Some(At::Header("x-wc-webhook-topic")),
        handshakes: &[Handshake::WooCommercePing],
        words: |_| describe::template(&template()),
        ..Preset::coded("woocommerce", "WooCommerce", Signing::Code(prepare))
    }
}

fn template() -> Template {
    Template { encoding: Encoding::Base64, ..Template::hmac_sha256("x-wc-webhook-signature") }
}

fn prepare(settings: &Settings, secrets: &Secrets) -> Result<Box<dyn Verify>, InvalidSettings> {
    let decoded =
        secrets.iter().map(|named| NamedSecret { id: named.id.clone(), secret: decode(&named.secret) });
    template::prepare(&template(), settings, &decoded.collect())
}

fn decode(secret: &Secret) -> Secret {
    let whole = secret.expose().to_owned();
    Secret::new(ENTITIES.iter().fold(whole, |text, (entity, character)| text.replace(entity, character)))
}
