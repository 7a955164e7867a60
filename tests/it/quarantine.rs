//! Events that a handler failed on: listed, and replayed through a version that does not fail.

use std::fs;
use std::process::Output;
use std::time::Duration;

use floodgate_testkit::{Failure, Result, Scene, programs, sign, wait};
use nix::sys::signal::Signal;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::process::Command;

/// Until the relay has seen what a region accepted.
const LISTED_LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn quarantined_events_are_listed_and_replayed_through_a_chosen_version() -> Result<()> {
    Scene::play(async |scene| {
        let secret = sign::new_text_secret();
        upload(scene, "picky", 1, &built(false).await?).await?;
        bind(scene, "orders", &[("picky", "check")], &secret).await?;
        let poisoned = send_some_poisoned(scene, &secret).await?;
        let books = scene.balanced_books().await?;
        assert_eq!((books.events.accepted, books.events.stored, books.events.quarantined), (7, 3, 4));

        listed_by_page_and_filter(scene, &poisoned).await?;
        let listed = all_listed(scene, 3).await?;
        // Uploaded, and not promoted: the source goes on with version 1.
        upload(scene, "picky", 2, &built(true).await?).await?;
        let preview = floodgate(scene, &["replay", "--status", "quarantined", "--dry-run", "--json"]).await?;
        assert_eq!(json_of(&preview)?["matched"], 3, "{preview:?}");

        let replay = ["replay", "--status", "quarantined", "--json"];
        let failed = floodgate(scene, &replay).await?;
        assert_eq!(failed.status.code(), Some(1), "{failed:?}");
        let failed = json_of(&failed)?;
        assert_eq!((&failed["replayed"], &failed["failed"]), (&json!(0), &json!(3)), "{failed}");
        let reason = failed["errors"][0]["error"].as_str().unwrap_or_default();
        assert!(reason.contains("there is poison in it"), "{failed}");
        assert_eq!(list(scene, &[]).await?.len(), 3, "they stay as they are");
        assert_eq!(scene.balanced_books().await?, books, "nothing was enqueued");

        let replay = ["replay", "--status", "quarantined", "--handler", "picky@2", "--json"];
        let done = floodgate(scene, &replay).await?;
        assert!(done.status.success(), "{done:?}");
        let done = json_of(&done)?;
        assert_eq!((&done["replayed"], &done["outcomes"]), (&json!(3), &json!({"change": 3})), "{done}");
        nothing_listed(scene).await?;
        let books = scene.balanced_books().await?;
        assert_eq!((books.events.accepted, books.events.stored, books.events.quarantined), (10, 6, 4));
        let handler = scene.admin.get("/v1/handlers/picky").await?;
        assert_eq!(handler["promoted"], 1, "{handler}");
        for item in &listed {
            let id = item["id"].as_str().unwrap_or_default();
            delivered_once(scene, id, r#""medicine""#)?;
            let event = scene.admin.get(&format!("/v1/events/{id}")).await?;
            assert_eq!(event["handlers"], json!([{"name": "picky", "version": 2, "outcome": "change"}]));
            assert_eq!(event["received_at"], item["received_at"], "handlers saw the same clock");
        }
        let again = floodgate(scene, &replay).await?;
        assert_eq!((again.status.code(), &json_of(&again)?["matched"]), (Some(0), &json!(0)));
        Ok(())
    })
    .await
}

/// Three that pass, and three with poison, of which the last goes to both regions;
/// gives the ids of the latter.
async fn send_some_poisoned(scene: &Scene, secret: &str) -> Result<Vec<String>> {
    let mut poisoned = Vec::new();
    for (number, regions) in [(1, &["eu"][..]), (2, &["us"]), (3, &["eu", "us"])] {
        let good = sign::github("orders", secret, "push", "1", format!(r#"{{"number":{number}}}"#))?;
        scene.sender.post("eu", &good).await?.accepted()?;
        let bad = sign::github("orders", secret, "push", "1", format!(r#"{{"{number}":"poison"}}"#))?;
        for region in regions {
            poisoned.push(scene.sender.post(region, &bad).await?.accepted()?.to_owned());
        }
        poisoned.dedup();
    }
    Ok(poisoned)
}

async fn listed_by_page_and_filter(scene: &Scene, poisoned: &[String]) -> Result<()> {
    let all = all_listed(scene, poisoned.len()).await?;
    let mut ids: Vec<_> = all.iter().map(|item| item["id"].as_str().unwrap_or_default()).collect();
    let times: Vec<_> = all.iter().map(|item| item["stored_at"].as_str().unwrap_or_default()).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "newest first: {times:?}");
    ids.sort_unstable();
    let mut expected: Vec<_> = poisoned.iter().map(String::as_str).collect();
    expected.sort_unstable();
    assert_eq!(ids, expected, "each once, though one came through both regions");
    for item in &all {
        let said = [&item["handler"], &item["version"], &item["kind"], &item["type"], &item["source"]];
        assert_eq!(said, [&json!("picky"), &json!(1), &json!("trap"), &json!("push"), &json!("orders")]);
    }

    let first = scene.admin.get("/v1/events?status=quarantined&limit=2").await?;
    let next = first["next"].as_str().ok_or_else(|| Failure::new(format!("no next in {first}")))?;
    let second = scene.admin.get(&format!("/v1/events?status=quarantined&limit=2&after={next}")).await?;
    let pages: Vec<Value> =
        [&first, &second].iter().flat_map(|page| page["items"].as_array()).flatten().cloned().collect();
    assert_eq!((&pages, &second["next"]), (&all, &Value::Null));
    assert_eq!(list(scene, &["--source", "github"]).await?, Vec::<Value>::new());
    assert_eq!(list(scene, &["--handler", "picky", "--limit", "1"]).await?.len(), 1);
    let unlisted = scene.admin.request(Method::GET, "/v1/events?status=stored", None).await?;
    assert_eq!(unlisted.status, StatusCode::UNPROCESSABLE_ENTITY, "{unlisted:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_of_a_split_is_replayed_by_itself_also_while_its_region_is_away() -> Result<()> {
    Scene::play(async |scene| {
        let secret = sign::new_text_secret();
        let component = built(false).await?;
        upload(scene, "splitter", 1, &component).await?;
        upload(scene, "picky", 1, &component).await?;
        upload(scene, "picky", 2, &built(true).await?).await?;
        bind(scene, "orders", &[("splitter", "split"), ("picky", "check")], &secret).await?;
        let whole = sign::github("orders", &secret, "push", "delivery-1", "good\npoison\nbetter")?;
        let parent = scene.sender.post("eu", &whole).await?.accepted()?.to_owned();
        let books = scene.balanced_books().await?;
        assert_eq!((books.events.filtered, books.events.stored, books.events.quarantined), (1, 2, 1));
        let listed = all_listed(scene, 1).await?;
        let child = listed[0]["id"].as_str().unwrap_or_default().to_owned();
        assert_ne!(child, parent);

        scene.deployment.signal("nats-eu", Signal::SIGSTOP)?;
        let replay = ["replay", "--status", "quarantined", "--id", &child, "--handler", "picky@2", "--json"];
        let done = floodgate(scene, &replay).await;
        scene.deployment.signal("nats-eu", Signal::SIGCONT)?;
        let done = done?;
        assert!(done.status.success(), "{done:?}");
        nothing_listed(scene).await?;
        let books = scene.balanced_books().await?;
        assert_eq!((books.events.stored, books.events.quarantined), (3, 1), "its siblings are not touched");
        delivered_once(scene, &child, "medicine")?;
        let event = scene.admin.get(&format!("/v1/events/{child}")).await?;
        assert_eq!((&event["region"], &event["origin"]["region"]), (&json!("eu"), &json!("us")));
        assert_eq!(event["parent"], json!(parent));
        split_is_shown(scene, &parent, &child).await?;

        // What comes of the whole again is known.
        scene.sender.post("us", &whole).await?.accepted()?;
        let books = scene.balanced_books().await?;
        assert_eq!((books.events.stored, books.events.duplicate), (3, 4));
        Ok(())
    })
    .await
}

/// A split's parent lists its children and is found by its provider's id, which no signature covers here; and
/// what is not quarantined cannot be replayed as if it were.
async fn split_is_shown(scene: &Scene, parent: &str, child: &str) -> Result<()> {
    let whole = scene.admin.get(&format!("/v1/events/{parent}")).await?;
    let children: Vec<_> = whole["children"].as_array().into_iter().flatten().collect();
    assert_eq!(children.len(), 3, "{whole}");
    assert!(children.iter().any(|listed| listed["id"] == child), "{whole}");
    assert_eq!(scene.admin.get("/v1/events/delivery-1").await?["id"], parent);
    let unknown = scene.admin.request(Method::GET, "/v1/events/delivery-2", None).await?;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND, "{unknown:?}");

    let shown = floodgate(scene, &["events", "show", "delivery-1"]).await?;
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(text.starts_with("status") && text.contains(child), "{text}");

    let replay = ["replay", "--status", "quarantined", "--id", child, "--json"];
    let refused = floodgate(scene, &replay).await?;
    let said = json_of(&refused)?;
    assert_eq!((refused.status.code(), &said["matched"], &said["failed"]), (Some(1), &json!(1), &json!(1)));
    assert_eq!(said["errors"][0], json!({"id": child, "error": "it is stored, not quarantined"}));
    let preview = floodgate(scene, &[&replay[..], &["--dry-run"]].concat()).await?;
    let said = json_of(&preview)?;
    assert_eq!((preview.status.code(), &said["matched"]), (Some(1), &json!(0)), "{said}");
    assert_eq!(said["not_taken"][0]["id"], child, "{said}");
    let by_provider_id = ["replay", "--status", "quarantined", "--id", "delivery-1", "--dry-run", "--json"];
    let said = json_of(&floodgate(scene, &by_provider_id).await?)?;
    assert_eq!(said["not_taken"][0]["id"], parent, "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_replayed_says_why_and_a_replay_can_be_cancelled() -> Result<()> {
    Scene::play(async |scene| {
        let secret = sign::new_text_secret();
        upload(scene, "picky", 1, &built(false).await?).await?;
        upload(scene, "other", 1, &built(true).await?).await?;
        bind(scene, "orders", &[("picky", "check")], &secret).await?;
        send_some_poisoned(scene, &secret).await?;
        scene.balanced_books().await?;

        let order = |handler: Value| json!({"filter": {"status": "quarantined"}, "handler": handler});
        for (handler, status) in [
            (json!({"name": "nobody", "version": 1}), StatusCode::NOT_FOUND),
            (json!({"name": "picky", "version": 9}), StatusCode::UNPROCESSABLE_ENTITY),
        ] {
            let refused = scene.admin.request(Method::POST, "/v1/replays", Some(&order(handler))).await?;
            assert_eq!(refused.status, status, "{refused:?}");
        }
        let unbound = order(json!({"name": "other", "version": 1}));
        let ended = ended(scene, &unbound).await?;
        let reason = ended["errors"][0]["error"].as_str().unwrap_or_default();
        assert_eq!((&ended["state"], &ended["failed"]), (&json!("done"), &json!(3)), "{ended}");
        assert!(reason.contains("`other`"), "{ended}");

        // One a second: the rest does not get its turn.
        let slow = json!({"filter": {"status": "quarantined"}, "rate_per_second": 1});
        let started = scene.admin.request(Method::POST, "/v1/replays", Some(&slow)).await?;
        assert_eq!(started.status, StatusCode::ACCEPTED, "{started:?}");
        let path = format!("/v1/replays/{}", started.body["id"].as_str().unwrap_or_default());
        scene.admin.request(Method::DELETE, &path, None).await?;
        let cancelled = wait_for_end(scene, &path).await?;
        assert_eq!(cancelled["state"], "cancelled", "{cancelled}");
        all_listed(scene, 3).await?;
        Ok(())
    })
    .await
}

async fn ended(scene: &Scene, order: &Value) -> Result<Value> {
    let started = scene.admin.request(Method::POST, "/v1/replays", Some(order)).await?;
    assert_eq!(started.status, StatusCode::ACCEPTED, "{started:?}");
    wait_for_end(scene, &format!("/v1/replays/{}", started.body["id"].as_str().unwrap_or_default())).await
}

async fn wait_for_end(scene: &Scene, path: &str) -> Result<Value> {
    wait::until(format!("the end of {path}"), LISTED_LIMIT, async || {
        let replay = scene.admin.get(path).await?;
        Ok((replay["state"] != "running").then_some(replay))
    })
    .await
}

/// A source of GitHub's scheme through these handlers, as they are promoted, each in a mode.
async fn bind(scene: &Scene, source: &str, handlers: &[(&str, &str)], secret: &str) -> Result<()> {
    let handlers: Vec<_> =
        handlers.iter().map(|(name, mode)| json!({"name": name, "params": {"mode": mode}})).collect();
    let document = json!({"verify": {"scheme": "github", "secrets": [secret]}, "handlers": handlers});
    scene.admin.put(&format!("/v1/sources/{source}"), &document).await?;
    Ok(())
}

async fn upload(scene: &Scene, name: &str, version: u32, component: &[u8]) -> Result<()> {
    let pushed = scene.admin.upload(name, component.to_vec()).await?;
    assert_eq!((pushed.status, &pushed.body["version"]), (StatusCode::OK, &json!(version)), "{pushed:?}");
    Ok(())
}

/// `floodgate events list`.
async fn list(scene: &Scene, filters: &[&str]) -> Result<Vec<Value>> {
    let listed =
        floodgate(scene, &[&["events", "list", "--status", "quarantined", "--json"], filters].concat())
            .await?;
    assert!(listed.status.success(), "{listed:?}");
    Ok(json_of(&listed)?["items"].as_array().cloned().unwrap_or_default())
}

/// The books count what the log holds, and the list follows.
async fn all_listed(scene: &Scene, count: usize) -> Result<Vec<Value>> {
    wait::until(format!("{count} to be listed"), LISTED_LIMIT, async || {
        let listed = list(scene, &[]).await?;
        Ok((listed.len() == count).then_some(listed))
    })
    .await
}

async fn nothing_listed(scene: &Scene) -> Result<()> {
    wait::until("an empty quarantine", LISTED_LIMIT, async || {
        Ok(list(scene, &[]).await?.is_empty().then_some(()))
    })
    .await
}

fn delivered_once(scene: &Scene, id: &str, holding: &str) -> Result<()> {
    let deliveries = scene.consumer.deliveries();
    let bodies: Vec<_> = deliveries.iter().filter(|delivery| delivery.id == id).collect();
    match bodies[..] {
        [one] if String::from_utf8_lossy(&one.body).contains(holding) => Ok(()),
        _ => Err(Failure::new(format!("{id}, which is to hold {holding}, came as {bodies:?}"))),
    }
}

async fn floodgate(scene: &Scene, arguments: &[&str]) -> Result<Output> {
    let ready = scene.deployment.ready()?;
    let output = Command::new(programs::floodgate()?)
        .args(arguments)
        .env("FLOODGATE_API", &ready.admin.url)
        .env("FLOODGATE_TOKEN", &ready.admin.token)
        .kill_on_drop(true)
        .output()
        .await?;
    Ok(output)
}

fn json_of(output: &Output) -> Result<Value> {
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Builds the guest as a user builds a handler: the version that fails, or the one that does not.
async fn built(cured: bool) -> Result<Vec<u8>> {
    let mut build = Command::new(programs::floodgate()?);
    build.args(["handler", "build"]).arg(programs::root().join("tests/guests/picky"));
    if cured {
        build.env("PICKY_CURED", "1");
    }
    let output = build.output().await?;
    if !output.status.success() {
        return Err(Failure::new(format!("building the guest: {}", String::from_utf8_lossy(&output.stderr))));
    }
    // Its first line is the component's path.
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let path = said.lines().next().ok_or_else(|| Failure::new("`handler build` printed no path"))?;
    Ok(fs::read(path)?)
}
