//! A region's disk is lost, and an older copy put back.

use std::collections::BTreeMap;
use std::fs;

use floodgate_testkit::command::Said;
use floodgate_testkit::load::{Load, Plan};
use floodgate_testkit::{Result, Scene, outside, wait};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{LIMIT, backup_folder, lose_disk, run, send};

const EVENTS: u64 = 100;

/// The restored stream goes past its old end before the relay looks at it:
/// what it holds below must come all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_region_comes_back_from_a_backup_and_what_it_accepts_then_is_delivered() -> Result<()> {
    Scene::play(async |scene| {
        let mut kept = send(scene, &["eu"], 0..EVENTS).await?;
        scene.balanced_books().await?;
        back_up(scene).await?;
        kept.append(&mut send(scene, &["eu"], EVENTS..4 * EVENTS).await?);
        scene.balanced_books().await?;
        let copied = last_sequence(scene).await?;

        scene.deployment.signal("relay", Signal::SIGSTOP)?;
        let lost = send(scene, &["eu"], 4 * EVENTS..5 * EVENTS).await?;
        refused_while_it_would_lose_something(scene).await?;
        scene.deployment.signal("gateway-eu", Signal::SIGSTOP)?;
        lose_disk(scene, "nats-eu").await?;
        let restored = ask(scene, &[]).await?.done()?.json()?;
        check_named(&restored, copied);
        scene.deployment.signal("gateway-eu", Signal::SIGCONT)?;
        kept.append(&mut outgrow(scene, copied).await?);

        scene.deployment.kill("relay").await?;
        let books = scene.balanced_books().await?;
        assert_eq!(books.events.stored, kept.len() as u64);
        scene.check_arrived(&kept)?;
        scene.check_no_repeats()?;
        let counts = scene.consumer.counts();
        assert!(lost.values().all(|id| !counts.contains_key(id)), "what no disk held any more is gone");
        outside::read_log(&scene.deployment).await?.check()
    })
    .await
}

async fn back_up(scene: &Scene) -> Result<()> {
    let folder = backup_folder(scene);
    run(scene, "backup", &["--region", "eu", "--out", &folder.to_string_lossy()]).await?.done()?;
    Ok(())
}

async fn ask(scene: &Scene, more: &[&str]) -> Result<Said> {
    let folder = backup_folder(scene).to_string_lossy().into_owned();
    let arguments: Vec<_> =
        ["--region", "eu", "--from", &folder].into_iter().chain(more.iter().copied()).collect();
    run(scene, "restore", &arguments).await
}

/// Blocks that only the region has are not deleted for an older copy, nor is
/// anything when the copy is damaged.
async fn refused_while_it_would_lose_something(scene: &Scene) -> Result<()> {
    let unreplicated = ask(scene, &["--replace"]).await?;
    assert!(unreplicated.err.contains("--discard-unreplicated"), "{unreplicated:?}");
    let file = backup_folder(scene).join("IN_STANDARD.snapshot");
    let whole = fs::read(&file)?;
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    fs::write(&file, damaged)?;
    let refused = ask(scene, &["--replace", "--discard-unreplicated"]).await?;
    assert!(refused.err.contains("SHA-256"), "{refused:?}");
    fs::write(&file, whole)?;
    let accepting = ask(scene, &["--replace", "--discard-unreplicated"]).await?;
    assert!(accepting.err.contains("is running: stop every gateway"), "{accepting:?}");
    Ok(())
}

fn check_named(restored: &Value, copied: u64) {
    let feeds = restored["outlook"]["feeds"].as_array().cloned().unwrap_or_default();
    let standard = feeds.iter().find(|feed| feed["lane"] == "standard").cloned().unwrap_or_default();
    assert_eq!(standard["copied_through"], copied, "{restored}");
    assert!(standard["held"][1].as_u64().is_some_and(|last| last > 0 && last < copied), "{restored}");
    assert!(standard["lost"].is_null(), "nobody knows how far the lost disk went: {restored}");
}

/// Sends until the restored stream is longer than what the log has of the one before.
async fn outgrow(scene: &Scene, copied: u64) -> Result<BTreeMap<u64, String>> {
    let load = Load::start(&scene.sender, Plan { numbers: 1_000_000..2_000_000, ..scene.load(&["eu"]) });
    wait::until("the restored stream to outgrow the one before", LIMIT, async || {
        Ok((last_sequence(scene).await? > copied).then_some(()))
    })
    .await?;
    load.stop().await
}

async fn last_sequence(scene: &Scene) -> Result<u64> {
    let stream = scene.deployment.region_nats("eu").await?.get_stream("IN_STANDARD").await?;
    Ok(stream.cached_info().state.last_sequence)
}
