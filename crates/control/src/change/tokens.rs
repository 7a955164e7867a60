//! Tokens of own applications. A token alone finds its source, so no two sources may have the same one.

use floodgate_api::document::{Invalid, SourceDocument};
use floodgate_event::{Digest256, Name};
use floodgate_schemes::presets;

use crate::configuration::{Configuration, Source, StoredSecret};
use crate::vault::{self, Vault};

fn is_of_own_applications(scheme: &str) -> bool {
    presets::find(scheme).is_some_and(|preset| preset.own_applications)
}

/// Refuses a token that another source has. `stored` is what the source of this name has already: a change
/// that brings no new token is not compared, because each comparison opens a secret.
pub(super) fn check(
    configuration: &Configuration,
    (name, document): (&Name, &SourceDocument),
    stored: Option<&Source>,
    secrets: &[StoredSecret],
    vault: &Vault,
) -> Result<(), Invalid> {
    let was_checked = |secret: &StoredSecret| {
        stored.is_some_and(|stored| {
            is_of_own_applications(&stored.scheme) && stored.secrets.iter().any(|known| known.id == secret.id)
        })
    };
    if !is_of_own_applications(&document.verify.scheme) || secrets.iter().all(was_checked) {
        return Ok(());
    }
    let given = &document.verify.secrets;
    let given: Vec<_> = given.iter().map(|token| Digest256::of(token.expose().as_bytes())).collect();
    let others = configuration
        .sources
        .iter()
        .filter(|(other, source)| *other != name && is_of_own_applications(&source.scheme));
    for (other, source) in others {
        let owner = vault::source(&source.tenant, other);
        // What the centre cannot open is reported elsewhere, and compared by the gateways.
        for token in source.secrets.iter().filter_map(|secret| vault.open(secret, owner).ok()) {
            let token = Digest256::of(token.expose().as_bytes());
            if let Some(index) = given.iter().position(|given| *given == token) {
                return Err(Invalid::new(
                    format!("verify.secrets[{index}]"),
                    format!("source `{other}` has the same token, which must find one source: make another"),
                ));
            }
        }
    }
    Ok(())
}
