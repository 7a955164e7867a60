//! `kill -9` under load: nothing acknowledged is lost, nothing is stored twice, and a consumer sees a repeat
//! only if the relay was killed between a delivery and its record.

use std::collections::BTreeMap;
use std::time::Duration;

use floodgate_testkit::load::{Load, Plan};
use floodgate_testkit::{Result, Scene, outside};

/// How often the test kills each part.
const KILLS: usize = 3;
/// The pause between two kills, so that each finds the parts at work and not still starting.
const BETWEEN: Duration = Duration::from_millis(1_500);

#[tokio::test(flavor = "multi_thread")]
async fn killed_gateways_and_nats_servers_lose_and_repeat_nothing() -> Result<()> {
    Scene::play(async |scene| {
        let parts = ["gateway-eu", "gateway-us", "nats-eu", "nats-us", "nats-centre"];
        let acknowledged = kill_under_load(scene, &parts).await?;
        check(scene, &acknowledged).await?;
        scene.check_no_repeats()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_relay_loses_nothing_and_stores_nothing_twice() -> Result<()> {
    Scene::play(async |scene| {
        let acknowledged = kill_under_load(scene, &["relay"]).await?;
        check(scene, &acknowledged).await?;
        let most = scene.consumer.counts().into_values().max().unwrap_or_default();
        assert!(most <= 1 + KILLS, "an event came {most} times: at most once more for each kill");
        Ok(())
    })
    .await
}

async fn kill_under_load(scene: &Scene, parts: &[&str]) -> Result<BTreeMap<u64, String>> {
    let plan = Plan { workers: 8, pause: Duration::from_millis(10), ..scene.load(&["eu", "us"]) };
    let load = Load::start(&scene.sender, plan);
    for round in 1..=KILLS {
        for part in parts {
            tokio::time::sleep(BETWEEN).await;
            let before = load.acknowledged();
            scene.deployment.kill(part).await?;
            eprintln!("round {round}: killed {part} after {before} acknowledged events");
        }
    }
    tokio::time::sleep(BETWEEN).await;
    load.stop().await
}

async fn check(scene: &Scene, acknowledged: &BTreeMap<u64, String>) -> Result<()> {
    assert!(!acknowledged.is_empty());
    scene.balanced_books().await?;
    scene.check_arrived(acknowledged)?;
    let log = outside::read_log(&scene.deployment).await?;
    log.check()?;
    let stored = log.count("stored");
    assert!(
        acknowledged.values().all(|id| stored.contains_key(id.as_str())),
        "every acknowledged event is stored"
    );
    Ok(())
}
