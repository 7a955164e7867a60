//! Any provider that signs in a way that the operator describes, by a template of the generic scheme.

use crate::preset::{Preset, Signing};
use crate::{InvalidSettings, template};

pub(super) fn preset() -> Preset {
    let signing = Signing::Code(|settings, secrets| {
        let template = settings
            .signature
            .as_ref()
            .ok_or(InvalidSettings::Needs { setting: "signature", why: "it says how requests are signed" })?;
        let symmetric = template.algorithm.is_symmetric();
        match () {
            () if symmetric && !settings.public_keys.is_empty() => Err(unused("public_keys")),
            () if !symmetric && !secrets.is_empty() => Err(unused("secrets")),
            () => template::prepare(template, settings, secrets),
        }
    });
    Preset {
        uses: &["secrets", "public_keys", "signature", "url"],
        tolerance_seconds: Some(300),
        ..Preset::coded("signed", "A signature as described", signing)
    }
}

fn unused(setting: &str) -> InvalidSettings {
    InvalidSettings::Unused(setting.to_owned())
}
