//! `make bench-handlers`, its second part: what handlers do to a whole gateway. The first is a benchmark of the library.

use floodgate_tests::{Result, Scene, guests};

use super::{neighbours, start};

/// What chooses this part.
pub(crate) const ARGUMENT: &str = "handlers";

pub(crate) async fn run() -> Result<()> {
    let decent = guests::build_at("handlers/pass").await?;
    let hostile = guests::build("hostile").await?;
    Scene::play(async |scene| neighbours::run(scene, &decent, &hostile).await).await?;
    Scene::play(async |scene| start::run(scene, &decent).await).await
}

/// The same handler under another digest: a custom section says its name.
pub(crate) fn named(component: &[u8], name: &str) -> Vec<u8> {
    let name = name.as_bytes();
    let mut named = component.to_vec();
    // The section's id and length, and its name's length, each below 128: a byte.
    named.extend([0, name.len() as u8 + 1, name.len() as u8]);
    named.extend(name);
    named
}
