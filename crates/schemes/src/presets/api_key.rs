//! Any provider that sends a fixed text in a header.

use crate::clear;
use crate::preset::{Preset, Signing};

const HEADER: &str = "x-api-key";

pub(super) fn preset() -> Preset {
    let signing = Signing::Code(|settings, secrets| {
        clear::in_header(settings.header.as_deref().unwrap_or(HEADER), secrets)
    });
    Preset {
        uses: &["secrets", "header"],
        secret_headers: &[HEADER],
        ..Preset::coded("api-key", "A secret in a header", signing)
    }
}
