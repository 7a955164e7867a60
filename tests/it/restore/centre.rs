//! The centre's disk is lost, and an older copy put back.

use std::collections::{BTreeMap, BTreeSet};

use floodgate_testkit::load::{Load, Plan};
use floodgate_testkit::scene::source;
use floodgate_testkit::{Result, Scene, outside, wait};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{LIMIT, backup_folder, lose_disk, run, send};

const EVENTS: u64 = 300;

#[tokio::test(flavor = "multi_thread")]
async fn a_centre_comes_back_from_a_backup_and_nothing_is_lost() -> Result<()> {
    Scene::play(async |scene| {
        let mut sent = send(scene, &["eu", "us"], 0..EVENTS).await?;
        scene.balanced_books().await?;
        let before_backup = last_sequence(scene).await?;
        sent.append(&mut back_up_under_load(scene).await?);
        let newer = scene.admin.put("/v1/sources/newer", &source("github", "secret-0123456789")).await?;
        sent.append(&mut send(scene, &["eu", "us"], 1_000_000..1_000_000 + EVENTS).await?);
        assert_eq!(scene.balanced_books().await?.events.stored, sent.len() as u64);

        lose_and_restore(scene, before_backup).await?;
        let books = scene.balanced_books().await?;
        assert_eq!(books.events.stored, sent.len() as u64, "everything is in the log again");
        scene.check_arrived(&sent)?;
        check_known_ids(scene, &sent);
        outside::read_log(&scene.deployment).await?.check()?;
        changes_reach_the_regions(scene, &newer).await
    })
    .await
}

/// While events come in, so that the streams of the backup are of different moments.
async fn back_up_under_load(scene: &Scene) -> Result<BTreeMap<u64, String>> {
    let load = Load::start(
        &scene.sender,
        Plan { numbers: EVENTS..900_000, workers: 4, ..scene.load(&["eu", "us"]) },
    );
    let folder = backup_folder(scene);
    let saved = run(scene, "backup", &["--out", &folder.to_string_lossy()]).await?.done()?.json()?;
    let names: Vec<_> =
        saved["streams"].as_array().into_iter().flatten().map(|stream| &stream["name"]).collect();
    assert_eq!(names[..2], ["JOURNAL_0", "EVENTS_0"], "a journal must not know more than the log: {names:?}");
    let twice = run(scene, "backup", &["--out", &folder.to_string_lossy()]).await?;
    assert_eq!(twice.status, Some(2), "a backup is never written over: {twice:?}");
    load.stop().await
}

/// The regions meanwhile throw away what is older than their history, which the backup's centre had by then.
async fn lose_and_restore(scene: &Scene, purged: u64) -> Result<()> {
    let folder = backup_folder(scene);
    let from = ["--from", &folder.to_string_lossy()];
    let refused = run(scene, "restore", &from).await?;
    assert_eq!(refused.status, Some(1));
    assert!(refused.err.contains("relay-1 is running"), "{refused:?}");

    scene.deployment.signal("relay", Signal::SIGSTOP)?;
    let refused = run(scene, "restore", &from).await?;
    assert!(refused.err.contains("--replace"), "what is there is not touched: {refused:?}");
    lose_disk(scene, "nats-centre").await?;
    let eu = scene.deployment.region_nats("eu").await?.get_stream("IN_STANDARD").await?;
    eu.purge().sequence(purged + 1).await?;
    let restored = run(scene, "restore", &from).await?.done()?.json()?;
    let feeds = restored["outlook"]["feeds"].as_array().cloned().unwrap_or_default();
    assert_eq!(feeds.len(), 6, "{restored}");
    assert!(feeds.iter().all(|feed| feed["lost"] == 0), "{restored}");
    assert_eq!(restored["outlook"]["newer_configurations"].as_array().map(Vec::len), Some(2), "{restored}");
    scene.deployment.kill("relay").await
}

async fn last_sequence(scene: &Scene) -> Result<u64> {
    let stream = scene.deployment.region_nats("eu").await?.get_stream("IN_STANDARD").await?;
    Ok(stream.cached_info().state.last_sequence)
}

/// What is delivered again comes under the id that it had.
fn check_known_ids(scene: &Scene, sent: &BTreeMap<u64, String>) {
    let ids: BTreeSet<_> = sent.values().cloned().collect();
    let counts = scene.consumer.counts();
    assert!(counts.keys().all(|id| ids.contains(id)), "no event has another id");
}

/// The regions have a later revision than the restored centre; its next change must still get there.
async fn changes_reach_the_regions(scene: &Scene, newer: &Value) -> Result<()> {
    wait::until("the relay to notice the later revision", LIMIT, async || {
        let regions = scene.admin.get("/v1/regions").await?;
        let items = regions["items"].as_array().cloned().unwrap_or_default();
        Ok(items.iter().all(|region| region["error"].is_string()).then_some(()))
    })
    .await?;
    let made = scene.admin.put("/v1/sources/after", &source("github", "secret-0123456789")).await?;
    assert!(made["revision"].as_u64() > newer["revision"].as_u64(), "{made} after {newer}");
    Ok(())
}
