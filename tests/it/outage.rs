//! A region lives alone.

use std::fs;
use std::time::Duration;

use floodgate_testkit::load::{Load, Plan};
use floodgate_testkit::{Result, Scene, outside, wait};
use nix::sys::signal::Signal;

const EVENTS: u64 = 300;
const READY_LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_region_without_its_centre_accepts_restarts_and_loses_nothing() -> Result<()> {
    Scene::play(async |scene| {
        scene.sender.post("eu", &scene.standard("msg_before", "{}")?).await?.accepted()?;
        scene.balanced_books().await?;
        scene.deployment.signal("relay", Signal::SIGSTOP)?;
        scene.deployment.signal("nats-centre", Signal::SIGSTOP)?;

        let first = send(scene, "eu", 0..EVENTS).await?;
        scene.deployment.kill("gateway-eu").await?;
        scene.deployment.kill("nats-eu").await?;
        wait::until("the region to be ready by itself", READY_LIMIT, async || {
            Ok((scene.sender.get("eu", "/readyz").await? == 200).then_some(()))
        })
        .await?;
        let second = send(scene, "eu", EVENTS..2 * EVENTS).await?;
        let copies = send(scene, "us", 0..EVENTS).await?;
        assert_eq!(first, copies, "regions agree on ids without asking each other");
        assert_eq!(scene.consumer.deliveries().len(), 1, "nothing gets past a stopped centre");

        scene.deployment.signal("nats-centre", Signal::SIGCONT)?;
        scene.deployment.signal("relay", Signal::SIGCONT)?;
        let books = scene.balanced_books().await?;
        assert_eq!(books.events.stored, 2 * EVENTS + 1);
        scene.check_arrived(&first)?;
        scene.check_arrived(&second)?;
        scene.check_no_repeats()?;
        outside::read_log(&scene.deployment).await?.check()
    })
    .await
}

async fn send(
    scene: &Scene,
    region: &str,
    numbers: std::ops::Range<u64>,
) -> Result<std::collections::BTreeMap<u64, String>> {
    Load::start(&scene.sender, Plan { numbers, ..scene.load(&[region]) }).complete().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_lost_its_disk_comes_back_empty() -> Result<()> {
    Scene::play(async |scene| {
        let first = send(scene, "eu", 0..EVENTS).await?;
        scene.balanced_books().await?;
        // While it stands still, so that it has no chance to notice.
        scene.deployment.signal("nats-eu", Signal::SIGSTOP)?;
        fs::remove_dir_all(scene.deployment.find("nats-eu")?.join("jetstream"))?;
        scene.deployment.kill("nats-eu").await?;
        wait::until("the region to accept again", READY_LIMIT, async || {
            let answer = scene.sender.post("eu", &scene.standard("msg_after", "{}")?).await?;
            Ok(answer.accepted().is_ok().then_some(()))
        })
        .await?;
        assert_eq!(send(scene, "eu", 0..EVENTS).await?, first);

        let books = scene.balanced_books().await?;
        assert_eq!((books.events.stored, books.events.duplicate), (EVENTS + 1, EVENTS), "{books:?}");
        scene.check_arrived(&first)?;
        scene.check_no_repeats()
    })
    .await
}
