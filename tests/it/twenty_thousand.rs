//! Twenty thousand events with a fault in the middle, and the same again to the other region.

use std::time::Duration;

use floodgate_testkit::load::{Load, Plan};
use floodgate_testkit::{Result, Scene, outside, wait};

const EVENTS: u64 = 20_000;
const HALF_LIMIT: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_event_is_delivered_and_none_comes_through_again() -> Result<()> {
    Scene::play(async |scene| {
        let plan = Plan { workers: 64, numbers: 0..EVENTS, ..scene.load(&["eu"]) };
        let load = Load::start(&scene.sender, plan.clone());
        let half = EVENTS as usize / 2;
        wait::until("half of the events", HALF_LIMIT, async || {
            Ok((load.acknowledged() >= half).then_some(()))
        })
        .await?;
        scene.deployment.kill("gateway-eu").await?;
        scene.deployment.kill("nats-eu").await?;
        let acknowledged = load.complete().await?;
        assert_eq!(acknowledged.len() as u64, EVENTS);
        let books = scene.balanced_books().await?;
        assert_eq!(books.events.stored, EVENTS);
        scene.check_arrived(&acknowledged)?;
        scene.check_no_repeats()?;

        let elsewhere = Plan { regions: vec!["us".to_owned()], ..plan };
        let again = Load::start(&scene.sender, elsewhere).complete().await?;
        assert_eq!(again, acknowledged, "the other region answers with the same ids");
        let after = scene.balanced_books().await?;
        assert_eq!(after.events.stored, EVENTS, "none is stored again");
        assert!(after.events.duplicate >= books.events.duplicate + EVENTS);
        scene.check_no_repeats()?;
        outside::read_log(&scene.deployment).await?.check()
    })
    .await
}
