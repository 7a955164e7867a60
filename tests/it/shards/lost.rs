//! A central stream that is lost stops its shard, loudly, until somebody decides; one that
//! is stuck shows in the books.

use std::time::Duration;

use async_nats::jetstream::stream::Config;
use floodgate_testkit::command::{self, Said};
use floodgate_testkit::load::{Load, Plan};
use floodgate_testkit::{Result, Scene, metrics, relay, wait};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::Range;

const LIMIT: Duration = Duration::from_secs(90);
/// Requests for the books at once, how often, and the consumers that a region's stream may have then:
/// each shard's own reader, and what the last request is about to delete.
const ASKERS: usize = 20;
const ASKED: usize = 10;
const CONSUMERS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_whose_streams_fail_it_says_so_and_skips_nothing() -> Result<()> {
    Scene::play_sharded(2, async |scene| {
        let mut acknowledged = send(scene, 0..60).await?;
        scene.balanced_books().await?;
        books_leave_no_consumers(scene).await?;
        another_number_of_shards_is_refused(scene).await?;
        order_by_stays(scene).await?;
        a_region_that_refuses_is_named(scene).await?;
        acknowledged.extend(a_full_journal_shows(scene).await?);
        acknowledged.extend(a_deleted_log_stops_its_shard(scene).await?);
        scene.check_arrived(&acknowledged)?;
        a_deleted_journal_stops_its_shard(scene).await
    })
    .await
}

async fn send(scene: &Scene, numbers: Range<u64>) -> Result<BTreeMap<u64, String>> {
    Load::start(&scene.sender, Plan { numbers, ..scene.load(&["eu", "us"]) }).complete().await
}

async fn books_leave_no_consumers(scene: &Scene) -> Result<()> {
    for _ in 0..ASKED {
        let asked = (0..ASKERS).map(|_| scene.admin.books());
        for books in futures::future::join_all(asked).await {
            assert!(books?.is_exact());
        }
    }
    // Well before the server forgets any by itself.
    let nats = scene.deployment.region_nats("eu").await?;
    let count = nats.get_stream("IN_STANDARD").await?.cached_info().state.consumer_count;
    assert!(count <= CONSUMERS, "{count} consumers after {} requests for the books", ASKED * ASKERS);
    Ok(())
}

async fn another_number_of_shards_is_refused(scene: &Scene) -> Result<()> {
    for shards in [1, 4] {
        let said = relay::run_once(&scene.deployment, "fewer", |config| {
            config.insert("shards".to_owned(), i64::from(shards).into());
        })
        .await?;
        assert_eq!(said.status, Some(2), "{said:?}");
        assert!(said.err.contains("this deployment has 2 shards"), "{said:?}");
    }
    Ok(())
}

async fn order_by_stays(scene: &Scene) -> Result<()> {
    let mut document = floodgate_testkit::scene::source("standard", &scene.secrets.standard);
    document["order_by"] = json!({"json": "/customer"});
    let refused = scene.admin.request(Method::PUT, "/v1/sources/standard", Some(&document)).await?;
    assert_eq!(refused.status, 409, "{refused:?}");
    assert!(refused.body["detail"].as_str().is_some_and(|detail| detail.contains("order_by")), "{refused:?}");
    scene.admin.put("/v1/sources/unused", &document).await?;
    Ok(())
}

/// By a doctor that knows the API only, and by the gateway's own health.
async fn a_region_that_refuses_is_named(scene: &Scene) -> Result<()> {
    let nats = scene.deployment.region_nats("eu").await?;
    let config = nats.get_stream("IN_BULK").await?.cached_info().config.clone();
    nats.update_stream(&Config { max_messages_per_subject: 1, ..config.clone() }).await?;
    wait::until("doctor to name the region", LIMIT, async || {
        Ok(names(&doctor(scene).await?, "stream", "eu")?.then_some(()))
    })
    .await?;
    let url = scene.deployment.ready()?.regions["eu"].metrics.replace("/metrics", "/readyz");
    let answer = reqwest::get(url).await?;
    let (status, text) = (answer.status(), answer.text().await?);
    assert!(status == 503 && text.contains("max_messages_per_subject"), "{status} {text}");
    nats.update_stream(&config).await?;
    Ok(())
}

/// `JOURNAL_1` takes nothing: its shard's events are stored and wait, which books and doctor say.
async fn a_full_journal_shows(scene: &Scene) -> Result<BTreeMap<u64, String>> {
    let nats = scene.deployment.centre_nats().await?;
    let config = nats.get_stream("JOURNAL_1").await?.cached_info().config.clone();
    nats.update_stream(&Config { max_bytes: 1, ..config.clone() }).await?;
    let acknowledged = send(scene, 100..160).await?;
    let stuck = wait::until("events to match", LIMIT, async || {
        let books = scene.admin.books().await?;
        let is_stuck = books.events.in_transit == 0 && books.events.to_match > 0;
        Ok(is_stuck.then_some(books))
    });
    assert!(stuck.await?.is_exact());
    wait::until("doctor to name the journal", LIMIT, async || {
        Ok(names(&doctor(scene).await?, "journal", "JOURNAL_1")?.then_some(()))
    })
    .await?;
    let url = scene.deployment.ready()?.centre.metrics;
    wait::until("the metric", LIMIT, async || {
        Ok((metrics::sum(&url, "floodgate_blocks_to_match").await? > 0.0).then_some(()))
    })
    .await?;
    nats.update_stream(&config).await?;
    scene.balanced_books().await?;
    Ok(acknowledged)
}

/// What was stored in `EVENTS_1` and is not in the regions any more is gone; what comes in afterwards waits.
async fn a_deleted_log_stops_its_shard(scene: &Scene) -> Result<BTreeMap<u64, String>> {
    let nats = scene.deployment.centre_nats().await?;
    nats.delete_stream("EVENTS_1").await?;
    let acknowledged = send(scene, 200..260).await?;
    says_lost(scene, "EVENTS_1").await?;
    scene.deployment.kill("relay").await?;
    says_lost(scene, "EVENTS_1").await?;
    assert!(nats.get_stream("EVENTS_1").await.is_err(), "nobody makes it anew");
    let here = |id: &&String| scene.consumer.counts().contains_key(*id);
    wait::until("the other shard's events", LIMIT, async || {
        Ok((acknowledged.values().filter(here).count() > 0).then_some(()))
    })
    .await?;

    assert_eq!(accept(scene, "SET_ASIDE").await?.status, Some(1), "nothing of it is lost");
    accept(scene, "EVENTS_1").await?.done()?;
    wait::until("every event", LIMIT, async || {
        Ok((acknowledged.values().filter(here).count() == acknowledged.len()).then_some(()))
    })
    .await?;
    exact_and_well(scene).await?;
    Ok(acknowledged)
}

async fn a_deleted_journal_stops_its_shard(scene: &Scene) -> Result<()> {
    let nats = scene.deployment.centre_nats().await?;
    nats.delete_stream("JOURNAL_0").await?;
    says_lost(scene, "JOURNAL_0").await?;
    accept(scene, "JOURNAL_0").await?.done()?;
    let acknowledged = send(scene, 300..340).await?;
    wait::until("every event", LIMIT, async || {
        let counts = scene.consumer.counts();
        Ok(acknowledged.values().all(|id| counts.contains_key(id)).then_some(()))
    })
    .await?;
    exact_and_well(scene).await
}

async fn exact_and_well(scene: &Scene) -> Result<()> {
    wait::until("exact books without anything to do", LIMIT, async || {
        let books = scene.admin.books().await?;
        let is_done = books.events.in_transit + books.events.to_match + books.deliveries.pending == 0;
        Ok((is_done && books.is_exact()).then_some(()))
    })
    .await?;
    let health = scene.admin.get("/v1/health").await?;
    assert_eq!(health["well"], true, "{health}");
    Ok(())
}

/// API, metric and doctor all name the stream.
async fn says_lost(scene: &Scene, stream: &str) -> Result<()> {
    wait::until(format!("{stream} to be named"), LIMIT, async || {
        let health = scene.admin.get("/v1/health").await?;
        Ok(health["problems"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|problem| problem["subject"] == stream)
            .then_some(()))
    })
    .await?;
    assert!(names(&doctor(scene).await?, "central stream", stream)?, "doctor names it");
    let metrics = metrics::page(&scene.deployment.ready()?.centre.metrics).await?;
    assert!(
        metrics.contains(&format!("floodgate_central_stream_lost{{stream=\"{stream}\"}} 1")),
        "{metrics}"
    );
    Ok(())
}

fn names(said: &Said, check: &str, subject: &str) -> Result<bool> {
    let found: Value = said.json()?;
    let findings = found["findings"].as_array().into_iter().flatten();
    let is_it = |finding: &Value| {
        finding["check"] == check && finding["subject"] == subject && finding["state"] == "wrong"
    };
    Ok(findings.into_iter().any(is_it))
}

async fn doctor(scene: &Scene) -> Result<Said> {
    let ready = scene.deployment.ready()?;
    command::floodgate(["doctor", "--json", "--api", &ready.admin.url, "--token", &ready.admin.token]).await
}

async fn accept(scene: &Scene, stream: &str) -> Result<Said> {
    let ready = scene.deployment.ready()?;
    command::floodgate(["accept-loss", stream, "--api", &ready.admin.url, "--token", &ready.admin.token])
        .await
}
