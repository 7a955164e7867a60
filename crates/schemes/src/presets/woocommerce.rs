//! WooCommerce. It decodes HTML entities in its secret before it signs, as WordPress's
//! `wp_specialchars_decode` does. Its id counts seconds, so two events in the same second share it.

use floodgate_event::Secret;
use floodgate_event::scheme::{Encoding, Settings, Template};

use crate::keys::{NamedSecret, Secrets};
use crate::preset::{At, Preset, Signing};
use crate::verify::Verify;
use crate::{Handshake, InvalidSettings, describe, template};

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

/// Decodes each entity once, so that `&amp;lt;` becomes `&lt;`.
fn decode(secret: &Secret) -> Secret {
    let mut parts = secret.expose().split('&');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let entity = part.split_once(';').and_then(|(name, rest)| Some((character(name)?, rest)));
        let (character, rest) = entity.unwrap_or(('&', part));
        decoded.push(character);
        decoded.push_str(rest);
    }
    Secret::new(decoded)
}

/// Returns the character of an entity, without its `&` and `;`. A code may begin with zeros. WordPress reads
/// no hexadecimal codes of `<` and `>`, and no `&apos;`.
fn character(entity: &str) -> Option<char> {
    let code = |prefix| entity.strip_prefix(prefix).map(|digits| digits.trim_start_matches('0'));
    match (entity, code("#"), code("#x").or(code("#X"))) {
        ("lt", ..) | (_, Some("60"), _) => Some('<'),
        ("gt", ..) | (_, Some("62"), _) => Some('>'),
        ("amp", ..) | (_, Some("38"), _) | (.., Some("26")) => Some('&'),
        ("quot", ..) | (_, Some("34"), _) | (.., Some("22")) => Some('"'),
        (_, Some("39"), _) | (.., Some("27")) => Some('\''),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_decoded_as_wordpress_does() {
        for (entities, character) in [
            ("&amp; &#38; &#038; &#x26; &#X26; &#x0026;", '&'),
            ("&lt; &#60; &#060; &#00060;", '<'),
            ("&gt; &#62; &#062;", '>'),
            ("&quot; &#34; &#034; &#x22; &#X022;", '"'),
            ("&#39; &#039; &#00000039; &#x27; &#x027; &#X27;", '\''),
        ] {
            for entity in entities.split(' ') {
                let decoded = decode(&Secret::new(format!("a{entity}b;")));
                assert_eq!(decoded.expose(), format!("a{character}b;"), "{entity}");
            }
        }
        assert_eq!(decode(&Secret::new("&&lt;&#x26;lt;&amp;amp;")).expose(), "&<&lt;&amp;");
        for same in
            ["&", "&;", "&apos;", "&#x3c;", "&#x3e;", "&AMP;", "&amp", "&#;", "&#x;", "&# 38;", "&#380;"]
        {
            assert_eq!(decode(&Secret::new(same)).expose(), same);
        }
    }
}
