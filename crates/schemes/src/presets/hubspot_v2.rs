//! HubSpot's second version, which hashes the secret, the method, the URL and the body.

use super::hubspot_v1::{self, Version};
use crate::InvalidSettings;
use crate::preset::{Preset, Signing};

pub(super) fn preset() -> Preset {
    let signing = Signing::Code(|settings, secrets| match settings.url {
        Some(_) => hubspot_v1::prepare(Version::V2, secrets),
        None => Err(InvalidSettings::Needs {
            setting: "url",
            why: "the provider signs the URL that it was given",
        }),
    });
    Preset {
        uses: &["secrets", "url"],
        body_begins: "[{",
        documentation: "https://developers.hubspot.com/docs/apps/legacy-apps/authentication/validating-requests",
        ..Preset::coded("hubspot-v2", "HubSpot v2", signing)
    }
}
