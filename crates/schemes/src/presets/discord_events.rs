//! Discord's webhook events. They have no id of their own. Interactions are the preset `discord`.

use crate::Handshake;
use crate::preset::{At, Preset};

pub(super) fn preset() -> Preset {
    Preset {
        documentation: "https://discord.com/developers/docs/events/webhook-events",
        id: None,
        event_type: Some(At::Json("/event/type")),
        handshakes: &[Handshake::DiscordEventPing],
        name: "discord-events",
        title: "Discord webhook events",
        ..super::discord::preset()
    }
}
