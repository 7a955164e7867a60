//! Two million ids: the ledger fits its memory, and is made again from the log when its folder is gone.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use async_nats::HeaderMap;
use floodgate_event::block::{Destination, EncodedEvent, SealedBlock};
use floodgate_event::id::BodyHash;
use floodgate_event::proto::{Event, KeyKind, Request};
use floodgate_event::{EventId, Lane, Name, subject};
use floodgate_testkit::admin::Books;
use floodgate_testkit::{Failure, Result, Scene, process};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use nix::sys::signal::Signal;
use reqwest::Method;

const EVENTS_PER_BLOCK: u64 = 1_000;
const BLOCKS: u64 = 2_000;
const EVENTS: u64 = BLOCKS * EVENTS_PER_BLOCK;
const RESENT: u64 = 1_000;
const MAX_RESIDENT_BYTES: u64 = 200 * 1024 * 1024;
/// Publishes under way at once.
const IN_FLIGHT: usize = 4;
/// For two million to be replicated, or the ledger to be made again.
const LIMIT: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread")]
async fn two_million_ids_fit_and_survive_the_loss_of_the_ledger() -> Result<()> {
    Scene::play(async |scene| {
        // This is about ids; nothing needs to be delivered.
        scene.admin.request(Method::DELETE, "/v1/destinations/consumer", None).await?;
        publish(scene, "eu", 0..BLOCKS).await?;
        let books = replicated(scene, EVENTS).await?;
        assert_eq!((books.events.stored, books.events.duplicate), (EVENTS, 0));
        let first_peak = process::peak_resident_bytes(scene.deployment.process("relay")?)?;

        lose_ledger(scene).await?;
        publish(scene, "us", 0..RESENT / EVENTS_PER_BLOCK).await?;
        let books = replicated(scene, EVENTS + RESENT).await?;
        assert_eq!(
            (books.events.stored, books.events.duplicate),
            (EVENTS, RESENT),
            "the oldest are still known"
        );
        let second_peak = process::peak_resident_bytes(scene.deployment.process("relay")?)?;

        eprintln!("peak resident memory of the relay: {first_peak} B, and {second_peak} B while rebuilding");
        assert!(first_peak < MAX_RESIDENT_BYTES && second_peak < MAX_RESIDENT_BYTES);
        Ok(())
    })
    .await
}

/// While the relay stands still, so that it has no chance to notice; then it is killed and started again.
async fn lose_ledger(scene: &Scene) -> Result<()> {
    scene.deployment.signal("relay", Signal::SIGSTOP)?;
    for folder in ledger_folders(scene)? {
        fs::remove_dir_all(folder)?;
    }
    scene.deployment.kill("relay").await
}

fn ledger_folders(scene: &Scene) -> Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(scene.deployment.find("relay")?)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("ledger") {
            folders.push(entry.path());
        }
    }
    if folders.is_empty() { Err(Failure::new("no ledger in the relay's state folder")) } else { Ok(folders) }
}

async fn replicated(scene: &Scene, accepted: u64) -> Result<Books> {
    floodgate_testkit::wait::until(format!("{accepted} events to be replicated"), LIMIT, async || {
        let books = scene.admin.books().await?;
        Ok((books.events.accepted == accepted && books.events.in_transit == 0).then_some(books))
    })
    .await
}

/// Straight into the region's stream: a gateway would make the same blocks, only slower.
async fn publish(scene: &Scene, region: &str, blocks: std::ops::Range<u64>) -> Result<()> {
    let nats = scene.deployment.region_nats(region).await?;
    let publishes = stream::iter(blocks).map(|number| {
        let nats = nats.clone();
        async move {
            let block = block(region, number)?;
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Msg-Id", block.id.to_string());
            headers.insert(subject::EVENTS_HEADER, block.sources.to_string());
            let published =
                nats.publish_with_headers(subject::regional(Lane::Standard, 0), headers, block.payload);
            published.await?.await?;
            Ok::<_, Failure>(())
        }
    });
    publishes.buffer_unordered(IN_FLIGHT).try_collect().await
}

fn block(region: &str, number: u64) -> Result<SealedBlock> {
    let destination = Destination {
        region: region.parse()?,
        lane: Lane::Standard,
        shard: 0,
        gateway: "ledger-test".to_owned(),
    };
    let source: Name = "standard".parse()?;
    let numbers = number * EVENTS_PER_BLOCK..(number + 1) * EVENTS_PER_BLOCK;
    let events: Vec<_> =
        numbers.map(|number| EncodedEvent::new(source.clone(), &event_numbered(region, number))).collect();
    Ok(SealedBlock::join(events.iter(), &destination, SystemTime::now()))
}

fn event_numbered(region: &str, number: u64) -> Event {
    let provider_id = format!("msg_{number}");
    let body = format!(r#"{{"number":{number}}}"#);
    Event {
        id: EventId::from_provider_id("default", "standard", &provider_id).as_bytes().to_vec(),
        key_kind: KeyKind::Id.into(),
        tenant: "default".to_owned(),
        source: "standard".to_owned(),
        provider_id,
        r#type: "ledger.test".to_owned(),
        lane: floodgate_event::proto::Lane::Standard.into(),
        region: region.to_owned(),
        body_hash: BodyHash::of(body.as_bytes()).as_bytes().to_vec(),
        request: Some(Request { raw: Some(body.into()), ..Request::default() }),
        ..Event::default()
    }
}
