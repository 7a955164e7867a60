//! Svix: Standard Webhooks, with headers of its own. Services that use Svix under their own name need the
//! preset `standard` instead.

use super::standard::{self, Names};
use crate::preset::{At, Preset, Signing};

const SVIX: Names = Names { id: "svix-id", timestamp: "svix-timestamp", signature: "svix-signature" };

pub(super) fn preset() -> Preset {
    let signing = Signing::Code(|settings, secrets| standard::prepare(&SVIX, settings, secrets));
    Preset {
        documentation: "https://docs.svix.com/receiving/verifying-payloads/how-manual",
        uses: &["secrets", "public_keys"],
        tolerance_seconds: Some(300),
        id: Some(At::Header(SVIX.id)),
        event_type: Some(At::Json("/type")),
        words: |_| standard::words(&SVIX),
        ..Preset::coded("svix", "Svix", signing)
    }
}
