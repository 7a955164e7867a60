//! Two million ids: the relay takes no more memory for them than for a quarter of them, and the ledger is
//! made again from the log when its folder is gone.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use async_nats::HeaderMap;
use floodgate_event::block::{Destination, EncodedEvent, SealedBlock};
use floodgate_event::id::BodyHash;
use floodgate_event::proto::{Event, KeyKind, Request};
use floodgate_event::{EventId, Lane, Name, ShardId, subject};
use floodgate_testkit::admin::Books;
use floodgate_testkit::{Failure, Result, Scene, process};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use nix::sys::signal::Signal;
use reqwest::Method;

const EVENTS_PER_BLOCK: u64 = 1_000;
const BLOCKS: u64 = 2_000;
const EVENTS: u64 = BLOCKS * EVENTS_PER_BLOCK;
const RESENT: u64 = 1_000;
/// The most resident memory of a relay that copies as fast as it can. Its buffers are full then: what it
/// reads ahead, appends in flight, and memtables that are not written yet.
const MAX_RESIDENT_BYTES: u64 = 384 * 1024 * 1024;
/// How much more it may take after all ids than after a quarter of them, in percent. The peak of full buffers
/// varies; two million ids in memory would be 150 MB more.
const MORE_PERCENT: u64 = 50;
/// Publishes under way at once.
const IN_FLIGHT: usize = 4;
/// How long it may take to replicate two million ids, or to make the ledger again.
const LIMIT: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread")]
async fn two_million_ids_fit_and_survive_the_loss_of_the_ledger() -> Result<()> {
    Scene::play(async |scene| {
        // This is about ids; nothing needs to be delivered.
        scene.admin.request(Method::DELETE, "/v1/destinations/consumer", None).await?;
        publish(scene, "eu", 0..BLOCKS / 4).await?;
        replicated(scene, EVENTS / 4).await?;
        let early_peak = process::peak_resident_bytes(scene.deployment.process("relay")?)?;
        publish(scene, "eu", BLOCKS / 4..BLOCKS).await?;
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

        let peaks = [early_peak, first_peak, second_peak];
        eprintln!("peaks of the relay's memory in bytes, early, in all and rebuilding: {peaks:?}");
        assert!(peaks.iter().all(|peak| *peak < MAX_RESIDENT_BYTES), "{peaks:?}");
        assert!(first_peak < early_peak / 100 * (100 + MORE_PERCENT), "it grows with the ids: {peaks:?}");
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
            let published = nats.publish_with_headers(
                subject::regional(Lane::Standard, ShardId::FIRST),
                headers,
                block.payload,
            );
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
        shard: ShardId::FIRST,
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
