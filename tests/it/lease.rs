//! A writer that was stopped for longer than its lease comes back to find itself replaced.

use std::time::Duration;

use floodgate_testkit::load::{Load, Plan};
use floodgate_testkit::{Result, Scene, outside, process, wait};
use nix::sys::signal::Signal;

use super::second_relay::{SecondRelay, TAKEOVER_LIMIT, wait_holder};

/// How often the test stops the holder, each relay in its turn.
const ROUNDS: usize = 3;
/// How long the old holder may try to write after it was woken.
const AFTER_WAKING: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_holder_is_replaced_and_its_late_appends_are_refused() -> Result<()> {
    Scene::play(async |scene| {
        let second = SecondRelay::start(&scene.deployment, &[])?;
        let relays = [("relay-1", scene.deployment.process("relay")?), ("relay-2", second.id())];
        wait_holder(scene, "relay-1").await?;
        let plan = Plan { workers: 8, pause: Duration::from_millis(10), ..scene.load(&["eu", "us"]) };
        let load = Load::start(&scene.sender, plan);
        for round in 0..ROUNDS {
            let (_, holder) = relays[round % 2];
            let (heir, _) = relays[(round + 1) % 2];
            wait_delivering(scene).await?;
            process::signal(holder, Signal::SIGSTOP)?;
            wait_holder(scene, heir).await?;
            wait_delivering(scene).await?;
            process::signal(holder, Signal::SIGCONT)?;
            tokio::time::sleep(AFTER_WAKING).await;
        }
        let acknowledged = load.stop().await?;

        scene.balanced_books().await?;
        scene.check_arrived(&acknowledged)?;
        let log = outside::read_log(&scene.deployment).await?;
        log.check()?;
        let holders = log.appends.iter().filter(|append| append.kind == "fence").count();
        assert!(holders > ROUNDS, "each holder fenced the one before it: {holders} fences");
        let most = scene.consumer.counts().into_values().max().unwrap_or_default();
        assert!(most <= 1 + ROUNDS, "an event came {most} times: at most once more for each stopped relay");
        Ok(())
    })
    .await
}

async fn wait_delivering(scene: &Scene) -> Result<()> {
    let before = scene.consumer.counts().len();
    wait::until("further events to be delivered", TAKEOVER_LIMIT, async || {
        Ok((scene.consumer.counts().len() > before).then_some(()))
    })
    .await
}
