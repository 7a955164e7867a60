//! Discord's interactions. Its webhook events are the preset `discord-events`.

use floodgate_event::scheme::{Algorithm, KeyFormat, Template, Timestamp, TimestampAt, Unit};

use crate::Handshake;
use crate::preset::{At, Preset};

pub(super) fn preset() -> Preset {
    let template = Template {
        algorithm: Algorithm::Ed25519,
        key: KeyFormat::Hex,
        content: "{timestamp}{body}".to_owned(),
        timestamp: Some(Timestamp {
            at: TimestampAt::Header("x-signature-timestamp".to_owned()),
            unit: Unit::Seconds,
        }),
        ..Template::hmac_sha256("x-signature-ed25519")
    };
    Preset {
        body_begins: "{",
        documentation: "https://discord.com/developers/docs/interactions/overview#setting-up-an-endpoint-validating-security-request-headers",
        uses: &["public_keys"],
        id: Some(At::Json("/id")),
        event_type: Some(At::Json("/type")),
        handshakes: &[Handshake::DiscordPing],
        ..Preset::signed("discord", "Discord interactions", template)
    }
}
