//! Secrets that no source may have.

use floodgate_schemes::{InvalidSettings, presets};

use crate::support::{settings, try_scheme};

/// It is what an unset variable of a template leaves behind.
#[test]
fn white_space_is_no_secret() {
    for preset in presets::all().iter().filter(|preset| preset.uses.contains(&"secrets")) {
        for blank in ["", " ", "\t", "\n", " \r\n ", "\u{a0}"] {
            let refused = try_scheme(preset.name, &settings(preset.name), &[blank]).map(drop);
            let is_refused = match preset.name {
                // Its secret is credentials, which have another form.
                "plaid" => matches!(refused, Err(InvalidSettings::Key(_))),
                _ => refused == Err(InvalidSettings::EmptySecret),
            };
            assert!(is_refused, "{} {blank:?}: {refused:?}", preset.name);
        }
    }
}
