//! What waits for a destination that is disabled, paused, changed or deleted:
//! nothing is lost that was not deleted, and the books stay exact.

use std::fs;
use std::time::Duration;

use floodgate_testkit::admin::Books;
use floodgate_testkit::{Consumer, Failure, Result, Scene, command, metrics, wait};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);
/// The most deliveries that are held in the last case.
const MAX_HELD: u64 = 30;

#[tokio::test(flavor = "multi_thread")]
async fn only_deleting_a_destination_discards_what_waits_for_it() -> Result<()> {
    Scene::play(async |scene| {
        gone_holds_the_backlog(scene).await?;
        a_late_gone_says_nothing_of_the_new_url(scene).await?;
        put_again_under_the_same_name(scene).await?;
        more_than_may_be_held(scene).await
    })
    .await
}

/// One answer of 410 among many events: what it was for is dead, and everything else waits until the
/// destination is put again, also over a crash of the relay.
async fn gone_holds_the_backlog(scene: &Scene) -> Result<()> {
    scene.consumer.answer_with(StatusCode::GONE);
    put(scene, "consumer", &scene.consumer, json!({"concurrency": 1})).await?;
    send(scene, "gone", 0..20).await?;
    let shown = wait_for(scene, "consumer", "its end", |shown| shown["enabled"] == false).await?;
    assert!(shown["answered_410_at"].is_string(), "{shown}");
    let held = wait_for_books(scene, |books| books.deliveries.matched == 20).await?;
    let dead = held.deliveries.dead;
    assert!(dead >= 1, "{held:?}");
    assert_eq!((held.deliveries.discarded, held.deliveries.pending), (0, 20 - dead), "{held:?}");

    scene.deployment.kill("relay").await?;
    send(scene, "gone", 20..25).await?;
    let held = wait_for_books(scene, |books| books.deliveries.matched == 25).await?;
    assert_eq!((held.deliveries.discarded, held.deliveries.pending), (0, 25 - dead), "{held:?}");
    shows_that_it_is_held(scene, dead, 25 - dead).await?;

    let before = scene.consumer.count();
    scene.consumer.answer_with(StatusCode::NO_CONTENT);
    put(scene, "consumer", &scene.consumer, json!({})).await?;
    let books = scene.balanced_books().await?.deliveries;
    assert_eq!((books.delivered, books.dead, books.discarded), (25 - dead, dead, 0));
    assert_eq!(scene.consumer.count() - before, usize::try_from(25 - dead)?);
    Ok(())
}

async fn shows_that_it_is_held(scene: &Scene, dead: u64, pending: u64) -> Result<()> {
    let shown = show(scene, "consumer").await?;
    assert_eq!(shown["deliveries"], json!({"pending": pending, "dead": dead}));
    let ready = scene.deployment.ready()?;
    wait::until("the metrics of a held destination", LIMIT, async || {
        let page = metrics::page(&ready.centre.metrics).await?;
        let held = page.contains(r#"floodgate_destination_held{destination="consumer",reason="disabled"} 1"#);
        let counted = |name: &str, count: u64| {
            page.contains(&format!(r#"floodgate_deliveries_{name}{{destination="consumer"}} {count}"#))
        };
        Ok((held && counted("dead", dead) && counted("pending", pending)).then_some(()))
    })
    .await?;
    let config = scene.deployment.find("relay.toml")?;
    let said = command::floodgate(["doctor", "--json", "--relay", &config.to_string_lossy()]).await?;
    let found = said.json()?;
    let is_it = |finding: &&Value| finding["check"] == "destination" && finding["subject"] == "consumer";
    let finding = found["findings"].as_array().and_then(|all| all.iter().find(is_it)).cloned();
    let finding = finding.ok_or_else(|| Failure::new(format!("doctor does not name it: {found}")))?;
    let text = finding["found"].as_str().unwrap_or_default();
    assert!(finding["state"] == "wrong" && text.contains("410") && text.contains("held"), "{finding}");
    assert_eq!(said.status, Some(1), "{found}");
    Ok(())
}

/// An attempt is under way to the old URL; a new one is put; then the old one answers 410.
async fn a_late_gone_says_nothing_of_the_new_url(scene: &Scene) -> Result<()> {
    let (old, new) = (Consumer::start().await?, Consumer::start().await?);
    old.answer_with(StatusCode::GONE);
    old.answer_after(Duration::from_secs(4));
    put(scene, "consumer", &old, json!({})).await?;
    let ids = send(scene, "late", 0..1).await?;
    wait::until("an attempt at the old URL", LIMIT, async || Ok((old.count() == 1).then_some(()))).await?;
    put(scene, "consumer", &new, json!({})).await?;

    wait::until("the event at the new URL", LIMIT, async || Ok((new.count() == 1).then_some(()))).await?;
    let event = scene.admin.get(&format!("/v1/events/{}", ids[0])).await?;
    assert_eq!(event["deliveries"][0]["attempts"][0]["status"], 410, "{event}");
    send(scene, "late", 1..4).await?;
    wait::until("what came later at the new URL", LIMIT, async || Ok((new.count() == 4).then_some(())))
        .await?;
    assert_eq!(show(scene, "consumer").await?["enabled"], true);
    let books = scene.balanced_books().await?.deliveries;
    assert_eq!(books.discarded, 0);
    put(scene, "consumer", &scene.consumer, json!({})).await
}

/// A destination with a backlog is deleted, and put again at once:
/// what waited for the one that was deleted goes, and what comes for the new one arrives.
async fn put_again_under_the_same_name(scene: &Scene) -> Result<()> {
    let (failing, new) = (Consumer::start().await?, Consumer::start().await?);
    failing.answer_with(StatusCode::INTERNAL_SERVER_ERROR);
    let before = scene.balanced_books().await?.deliveries;
    put(scene, "consumer", &failing, json!({"retry": {"schedule_seconds": [3600]}})).await?;
    send(scene, "old", 0..300).await?;
    wait_for_books(scene, |books| books.deliveries.matched == before.matched + 300).await?;

    let deleted = scene.admin.request(Method::DELETE, "/v1/destinations/consumer", None).await?;
    deleted.succeeded()?;
    put(scene, "consumer", &new, json!({})).await?;
    let ids = send(scene, "new", 0..20).await?;
    let after = scene.balanced_books().await?.deliveries;
    assert_eq!(after.discarded - before.discarded, 300, "{after:?}");
    let arrived: Vec<_> = new.counts().into_keys().collect();
    let mut sent = ids;
    sent.sort_unstable();
    assert_eq!(arrived, sent, "the new destination gets its own, and nothing else");
    put(scene, "consumer", &scene.consumer, json!({})).await
}

/// A paused destination holds so many and no more; the oldest go.
async fn more_than_may_be_held(scene: &Scene) -> Result<()> {
    let path = scene.deployment.find("relay.toml")?;
    let text = fs::read_to_string(&path)?
        .replace("allow_networks", &format!("max_held = {MAX_HELD}\nallow_networks"));
    fs::write(&path, text)?;
    scene.deployment.kill("relay").await?;
    let before = scene.balanced_books().await?.deliveries;
    put(scene, "consumer", &scene.consumer, json!({"paused": true})).await?;
    let ids = send(scene, "paused", 0..50).await?;
    let held = wait_for_books(scene, |books| {
        let held = books.deliveries;
        held.matched == before.matched + 50 && held.pending == MAX_HELD
    })
    .await?;
    assert_eq!(held.deliveries.discarded - before.discarded, 50 - MAX_HELD);
    let oldest = scene.admin.get(&format!("/v1/events/{}", ids[0])).await?;
    let delivery = &oldest["deliveries"][0];
    assert_eq!(delivery["state"], "discarded", "{oldest}");
    assert!(delivery["reason"].as_str().is_some_and(|reason| reason.contains("max_held")), "{oldest}");
    let newest = scene.admin.get(&format!("/v1/events/{}", ids[49])).await?;
    assert_eq!(newest["deliveries"][0]["state"], "pending", "{newest}");

    put(scene, "consumer", &scene.consumer, json!({})).await?;
    let after = scene.balanced_books().await?.deliveries;
    assert_eq!(after.delivered - before.delivered, MAX_HELD);
    Ok(())
}

/// Puts a destination, and waits until its relay routes by it.
async fn put(scene: &Scene, name: &str, consumer: &Consumer, more: Value) -> Result<()> {
    let mut document = json!({
        "url": consumer.url(), "subscribe": {}, "secrets": [scene.secrets.destination], "timeout_seconds": 10,
        "retry": {"schedule_seconds": [1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 8, 8, 8, 8]},
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        document[key] = value.clone();
    }
    scene.admin.put(&format!("/v1/destinations/{name}"), &document).await?;
    Ok(())
}

/// Events one after the other, of one region, so that they are stored in this order; gives their ids.
async fn send(scene: &Scene, prefix: &str, numbers: std::ops::Range<u32>) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for number in numbers {
        let event = scene.standard(&format!("{prefix}_{number}"), format!(r#"{{"type":"{prefix}"}}"#))?;
        ids.push(scene.sender.post("eu", &event).await?.accepted()?.to_owned());
    }
    Ok(ids)
}

async fn show(scene: &Scene, name: &str) -> Result<Value> {
    scene.admin.get(&format!("/v1/destinations/{name}")).await
}

async fn wait_for(scene: &Scene, name: &str, what: &str, is_it: impl Fn(&Value) -> bool) -> Result<Value> {
    wait::until(format!("{what} of destination {name}"), LIMIT, async || {
        let shown = show(scene, name).await?;
        Ok(is_it(&shown).then_some(shown))
    })
    .await
}

/// Waits for books in which something is so, and that balance at that moment.
async fn wait_for_books(scene: &Scene, is_it: impl Fn(&Books) -> bool) -> Result<Books> {
    wait::until("books of what is held", LIMIT, async || {
        let books = scene.admin.books().await?;
        assert_eq!(books.deliveries.difference(), 0, "{books:?}");
        Ok((books.balanced && books.events.in_transit == 0 && is_it(&books)).then_some(books))
    })
    .await
}
