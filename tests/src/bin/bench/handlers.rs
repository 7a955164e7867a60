//! `make bench-handlers`, its second part: what handlers do to a whole gateway. The first is a benchmark of the library.

use floodgate_tests::{Result, Scene, guests};

use super::{neighbours, start};

/// What chooses this part.
pub(crate) const ARGUMENT: &str = "handlers";

pub(crate) async fn run() -> Result<()> {
    let decent = guests::build_at("handlers/pass").await?;
    Scene::play(async |scene| {
        neighbours::run(scene, &decent).await?;
        start::run(scene, &decent).await
    })
    .await
}
