//! What strangers without a signature can do to a gateway, all of it at once, while honest events come in.

mod honest;
mod siege;
mod steady;
mod strangers;

use std::time::Duration;

use floodgate_testkit::{Result, Scene, metrics, process, wait};

use self::honest::Honest;
use self::strangers::{Address, Strangers};

/// `limits.memory_bytes` where a file does not say otherwise.
const MEMORY_BYTES: u64 = 256 << 20;
/// How many honest events the test sends after the strangers have begun.
const EVENTS: usize = 3_000;
const LIMIT: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn strangers_take_no_more_than_they_may_and_honest_events_go_on() -> Result<()> {
    Scene::play(async |scene| {
        let ready = scene.deployment.ready()?;
        let gateway = scene.deployment.process("gateway-eu")?;
        let quiet = Honest::run(scene, 0..500).await?;
        let before = process::peak_resident_bytes(gateway)?;

        let region = &ready.regions["eu"];
        let address = Address::of(region)?;
        let strangers = Strangers::begin(&address, &ready.admin.url).await?;
        let attacked = Honest::run(scene, 500..500 + EVENTS).await?;
        let (peak, used) = (
            process::peak_resident_bytes(gateway)?,
            metrics::sum(&region.metrics, "floodgate_queue_bytes").await?,
        );
        println!(
            "quiet {quiet}\nattacked {attacked}\nmemory {} MiB before, {} MiB at most, {} MiB counted at the end",
            before >> 20,
            peak >> 20,
            used as u64 >> 20
        );
        assert!(peak - before <= MEMORY_BYTES, "{} MiB more than before", (peak - before) >> 20);
        assert_eq!((attacked.refused, attacked.not_ready), (0, 0), "{attacked}");
        assert_eq!(scene.deployment.process("gateway-eu")?, gateway, "it never fell");
        // The admin API has a place for whoever has a token.
        scene.admin.get("/v1/regions").await?;

        drop(strangers);
        wait::until("the strangers' memory is back", LIMIT, async || {
            let used = metrics::sum(&region.metrics, "floodgate_queue_bytes").await?;
            Ok((used < (4 << 20) as f64).then_some(()))
        })
        .await?;
        assert_eq!(scene.balanced_books().await?.events.stored, 500 + EVENTS as u64);
        Ok(())
    })
    .await
}
