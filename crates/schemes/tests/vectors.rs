//! Every vector of `tests-data/signatures.json` is verified as it says.

// Clippy allows `unwrap` inside `#[test]` functions, but not in the functions that they call.
#![allow(clippy::unwrap_used)]

use floodgate_schemes::presets;
use floodgate_schemes::vectors::Vector;

#[allow(clippy::unwrap_used)] // A test without its vectors has failed.
fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("../tests-data/signatures.json")).unwrap()
}

#[test]
fn every_vector_holds_or_not_as_it_says() {
    let vectors = vectors();
    assert!(vectors.len() >= 176, "{} vectors", vectors.len());
    let wrong: Vec<String> = vectors
        .iter()
        .filter_map(|vector| {
            let (found, expected) = (vector.verify(), vector.expect.as_deref());
            let agrees = found.is_ok() == (expected == Some("valid"));
            (!agrees)
                .then(|| format!("{} {}: expected {expected:?}, found {found:?}", vector.scheme, vector.name))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A vector that is refused for want of its preset would show nothing.
#[test]
fn every_vector_names_a_preset() {
    for vector in vectors() {
        assert!(presets::find(vector.preset()).is_some(), "{}", vector.scheme);
    }
}
