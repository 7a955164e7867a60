//! What is confirmed is in force: a change that was answered holds for every event after it, and what keeps a
//! change from being in force is told by name.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use floodgate_event::seal::OpeningKey;
use floodgate_testkit::command::{self, Said};
use floodgate_testkit::scene::source;
use floodgate_testkit::{Result, Scene, guests, metrics, sign, wait};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);
/// As many destinations as it once took to show the fault.
const DESTINATIONS: usize = 61;
/// How many events go to a source that did not exist a moment before.
const EVENTS: usize = 300;

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_change_holds_for_every_event_after_it() -> Result<()> {
    Scene::play(async |scene| {
        events_find_the_destinations_of_the_same_file(scene).await?;
        an_answer_to_a_put_means_that_it_is_routed_by(scene).await?;
        only_the_expected_version_is_replaced(scene).await?;
        what_is_hardly_meant_is_warned_of(scene).await?;
        what_gateways_do_not_give_is_refused(scene).await?;
        a_relay_with_another_key_goes_on(scene).await
    })
    .await
}

/// Posts to a source while `apply` makes it and its destinations, and after.
async fn events_find_the_destinations_of_the_same_file(scene: &Scene) -> Result<()> {
    let secret = sign::new_text_secret();
    let file = write_file(scene, &secret)?;
    let arguments = vec!["apply".to_owned(), "-f".to_owned(), file.display().to_string()];
    let apply = tokio::spawn(run(credentials(scene, arguments)?));
    let mut accepted = Vec::new();
    for number in 0.. {
        let event_type = format!("t{}", number % DESTINATIONS);
        let body = format!(r#"{{"fresh":{number}}}"#);
        let signed = sign::github("fresh", &secret, &event_type, "1", body)?;
        let answer = scene.sender.post(["eu", "us"][number % 2], &signed).await?;
        match answer.status {
            200 => accepted.push(answer.accepted()?.to_owned()),
            status => assert_eq!(status, 404, "only before there is such a source: {answer:?}"),
        }
        let is_done = apply.is_finished();
        // Without a source there is nothing to send to: then the command says why.
        if is_done && (accepted.len() >= EVENTS || accepted.is_empty()) {
            break;
        }
    }
    let said = apply.await??.done()?;
    assert!(said.out.contains("routes: revision") && said.out.contains("eu serves revision"), "{said:?}");
    wait::until("each accepted event to arrive, at the scene's consumer and at its own", LIMIT, async || {
        let counts = scene.consumer.counts();
        Ok(accepted.iter().all(|id| counts.get(id) == Some(&2)).then_some(()))
    })
    .await
}

/// A source and destinations, each for one type of its events. The scene's own destination gets them too.
fn write_file(scene: &Scene, secret: &str) -> Result<PathBuf> {
    let mut text = format!("[sources.fresh]\nverify = {{ scheme = \"github\", secrets = [\"{secret}\"] }}\n");
    for number in 0..DESTINATIONS {
        let (url, key) = (scene.consumer.url(), &scene.secrets.destination);
        write!(
            text,
            "[destinations.d{number}]\nurl = \"{url}\"\nsecrets = [\"{key}\"]\n\
             subscribe = {{ types = [\"t{number}\"], sources = [\"fresh\"] }}\n"
        )?;
    }
    let file = scene.deployment.scratch().join("fresh.toml");
    fs::write(&file, text)?;
    Ok(file)
}

fn credentials(scene: &Scene, arguments: Vec<String>) -> Result<Vec<String>> {
    let ready = scene.deployment.ready()?;
    let rest = ["--api".to_owned(), ready.admin.url, "--token".to_owned(), ready.admin.token];
    Ok(arguments.into_iter().chain(rest).collect())
}

async fn run(arguments: Vec<String>) -> Result<Said> {
    command::floodgate(arguments).await
}

fn destination(scene: &Scene, types: &[&str]) -> Value {
    json!({
        "url": scene.consumer.url(), "secrets": [scene.secrets.destination],
        "subscribe": {"types": types, "sources": ["github"]},
    })
}

/// Sends an event right after the answer to a `PUT`, many times.
async fn an_answer_to_a_put_means_that_it_is_routed_by(scene: &Scene) -> Result<()> {
    for round in 0..10 {
        let event_type = format!("round{round}");
        let document = destination(scene, &[&event_type]);
        let reply = scene.admin.request(Method::PUT, "/v1/destinations/swift", Some(&document)).await?;
        assert_eq!((reply.status, &reply.body["in_force"]), (StatusCode::OK, &json!(true)), "{reply:?}");
        let signed = scene.github(&event_type, "1", format!(r#"{{"swift":{round}}}"#))?;
        let id = scene.sender.post("eu", &signed).await?.accepted()?.to_owned();
        wait::until(format!("{id} to arrive at both destinations"), LIMIT, async || {
            Ok((scene.consumer.counts().get(&id) == Some(&2)).then_some(()))
        })
        .await?;
    }
    let reply = scene.admin.request(Method::DELETE, "/v1/destinations/swift", None).await?;
    assert_eq!((reply.status, &reply.body["in_force"]), (StatusCode::OK, &json!(true)), "{reply:?}");
    let regions = scene.admin.get("/v1/regions").await?;
    assert_eq!((&regions["shards"], &regions["routed"][0]["revision"]), (&json!(1), &regions["revision"]));
    let page = metrics::page(&scene.deployment.ready()?.centre.metrics).await?;
    for line in ["floodgate_config_wanted_revision", "floodgate_routed_revision{shard=\"0\"}"] {
        assert!(page.contains(&format!("{line} {}\n", regions["revision"])), "{line}\n{page}");
    }
    Ok(())
}

async fn only_the_expected_version_is_replaced(scene: &Scene) -> Result<()> {
    let put = async |types: &[&str], header: (&'static str, &str)| {
        let document = destination(scene, types);
        scene.admin.request_with(Method::PUT, "/v1/destinations/shared", Some(&document), header).await
    };
    let first = put(&["a"], ("if-none-match", "*")).await?;
    assert_eq!(first.status, StatusCode::OK, "{first:?}");
    let again = put(&["b"], ("if-none-match", "*")).await?;
    assert_eq!(again.status, StatusCode::PRECONDITION_FAILED, "{again:?}");
    let second = put(&["b"], ("if-match", &first.etag)).await?;
    assert_eq!(second.status, StatusCode::OK, "{second:?}");
    let stale = put(&["c"], ("if-match", &first.etag)).await?;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED, "{stale:?}");
    assert!(stale.body["detail"].as_str().is_some_and(|detail| detail.contains(&second.etag)), "{stale:?}");
    let shown = scene.admin.request(Method::GET, "/v1/destinations/shared", None).await?;
    assert_eq!((&shown.etag, &shown.body["subscribe"]["types"]), (&second.etag, &json!(["b"])));
    let unquoted = put(&["c"], ("if-match", "7")).await?;
    assert_eq!(unquoted.status, StatusCode::BAD_REQUEST, "{unquoted:?}");
    Ok(())
}

async fn what_is_hardly_meant_is_warned_of(scene: &Scene) -> Result<()> {
    let document = json!({
        "url": "http://10.0.0.1/", "secrets": [scene.secrets.destination], "enabled": false,
        "subscribe": {"sources": ["github", "gihtub"]},
    });
    let reply = scene.admin.request(Method::PUT, "/v1/destinations/odd", Some(&document)).await?;
    let warnings = reply.body["warnings"].to_string();
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    assert!(warnings.contains("10.0.0.1 is not a public address"), "{warnings}");
    assert!(warnings.contains("subscribe.sources[1]") && warnings.contains("`gihtub`"), "{warnings}");
    scene.admin.request(Method::DELETE, "/v1/destinations/odd", None).await?.succeeded()?;
    Ok(())
}

/// A binding that no gateway could serve is refused, and nothing else is held up by it.
async fn what_gateways_do_not_give_is_refused(scene: &Scene) -> Result<()> {
    scene.admin.upload("stamp", guests::build_at("handlers/pass", &[]).await?).await?.succeeded()?;
    let mut document = source("github", &scene.secrets.github);
    document["handlers"] = json!([{"name": "stamp", "limits": {"deadline_ms": 5000}}]);
    let reply = scene.admin.request(Method::PUT, "/v1/sources/slow", Some(&document)).await?;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{reply:?}");
    let detail = reply.body["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("deadline_ms") && detail.contains("gives 1000 at most"), "{detail}");
    let reply = scene.admin.request(Method::PUT, "/v1/sources/plain", Some(&source("github", "s"))).await?;
    assert_eq!((reply.status, &reply.body["in_force"]), (StatusCode::OK, &json!(true)), "{reply:?}");
    Ok(())
}

/// The centre's key is lost and another one made: events are stored and wait, and all
/// secrets can be given again.
async fn a_relay_with_another_key_goes_on(scene: &Scene) -> Result<()> {
    let key = scene.deployment.find("centre.key")?;
    fs::write(&key, OpeningKey::generate().to_text().expose())?;
    scene.deployment.kill("relay").await?;
    let held = wait::until("the relay to say what it cannot open", LIMIT, async || {
        let shown = scene.admin.request(Method::GET, "/v1/destinations/consumer", None).await;
        Ok(shown.ok().filter(|shown| shown.body["held"].is_string()))
    })
    .await?;
    assert!(held.body["held"].as_str().is_some_and(|why| why.contains("cannot be opened")), "{held:?}");
    let before = scene.consumer.counts().len();
    let id = scene.sender.post("us", &scene.standard("held", "{}")?).await?.accepted()?.to_owned();
    wait::until("the event to be matched, and to wait", LIMIT, async || {
        let event = scene.admin.request(Method::GET, &format!("/v1/events/{id}"), None).await?;
        let state = event.body["deliveries"][0]["state"].as_str().map(str::to_owned);
        Ok(state.filter(|state| state == "pending"))
    })
    .await?;
    assert_eq!(scene.consumer.counts().len(), before, "nothing can be signed");

    scene.reconfigure().await?;
    wait::until("the event to arrive", LIMIT, async || {
        Ok(scene.consumer.counts().contains_key(&id).then_some(()))
    })
    .await
}
