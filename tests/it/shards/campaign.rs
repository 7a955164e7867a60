//! Four shards under load while every part is killed in turn and the configuration keeps changing.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use floodgate_testkit::load::{Load, Plan};
use floodgate_testkit::relay::SecondRelay;
use floodgate_testkit::{Admin, Failure, Result, Scene, outside, process};
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

const SHARDS: u32 = 4;
/// Rounds of kills; each takes half a minute. The long form sets more.
const ROUNDS_VARIABLE: &str = "FLOODGATE_CAMPAIGN_ROUNDS";
const ROUNDS: usize = 1;
/// Killed in each round, by `floodgate dev`'s names; the second relay in between.
const PARTS: [&str; 6] = ["relay", "gateway-eu", "nats-us", "relay", "nats-centre", "gateway-us"];
/// Between two kills, so that each finds the parts at work and not still starting.
const BETWEEN: Duration = Duration::from_millis(3_000);
/// Between two changes of the configuration, and two looks at the books.
const CHANGE_EVERY: Duration = Duration::from_secs(2);
const SAMPLE_EVERY: Duration = Duration::from_millis(700);
/// After which a request to a part that may be dead is given up.
const ASK_LIMIT: Duration = Duration::from_secs(20);
/// Regions keep so little that purges come while the books are looked at.
const KEPT_SECONDS: i64 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn four_shards_lose_and_repeat_nothing_and_their_books_are_exact() -> Result<()> {
    Scene::play_sharded(SHARDS, async |scene| {
        purge_early(scene).await?;
        let plan = Plan { workers: 8, pause: Duration::from_millis(10), ..scene.load(&["eu", "us"]) };
        let load = Load::start(&scene.sender, plan);
        let second = SecondRelay::start(&scene.deployment, &[])?;
        let others = second.admin().clone();
        let killed = kill(scene, second);
        tokio::pin!(killed);
        let (mut samples, mut changes) = (0, 0);
        let second = tokio::select! {
            killed = &mut killed => killed?,
            failed = sample([&scene.admin, &others], &mut samples) => return Err(failed),
            failed = change(&scene.admin, &mut changes) => return Err(failed),
        };
        let acknowledged = load.stop().await?;
        eprintln!("{} events, {samples} samples, {changes} changes", acknowledged.len());
        assert!(samples > 5 && changes > 2, "{samples} samples and {changes} changes: the campaign was idle");

        let books = scene.balanced_books().await?;
        assert_eq!(books.events.unmatched, 0, "each was matched");
        scene.check_arrived(&acknowledged)?;
        let mut stored = BTreeSet::new();
        for shard in 0..SHARDS {
            let log = outside::read_shard(&scene.deployment, shard).await?;
            log.check()?;
            for id in log.count("stored").into_keys() {
                assert!(stored.insert(id.to_owned()), "{id} is stored in two shards");
            }
        }
        assert!(acknowledged.values().all(|id| stored.contains(id)), "every acknowledged event is stored");
        drop(second);
        Ok(())
    })
    .await
}

/// Has the relay begin again with a history that is purged soon.
async fn purge_early(scene: &Scene) -> Result<()> {
    let path = scene.deployment.find("relay.toml")?;
    let mut config: toml::Table = fs::read_to_string(&path)?.parse()?;
    let history = toml::Table::from_iter([("kept_seconds".to_owned(), KEPT_SECONDS.into())]);
    config.insert("history".to_owned(), history.into());
    fs::write(&path, config.to_string())?;
    scene.deployment.kill("relay").await
}

/// Kills every part in turn, and the second relay between; gives the last of those.
async fn kill(scene: &Scene, mut second: SecondRelay) -> Result<SecondRelay> {
    let rounds = std::env::var(ROUNDS_VARIABLE).ok().map_or(Ok(ROUNDS), |rounds| rounds.parse())?;
    for round in 1..=rounds {
        for (turn, part) in PARTS.into_iter().enumerate() {
            sleep(BETWEEN).await;
            scene.deployment.kill(part).await?;
            eprintln!("round {round}: killed {part}");
            if turn % 3 == 1 {
                sleep(BETWEEN).await;
                process::signal(second.id(), Signal::SIGKILL)?;
                drop(second);
                second = SecondRelay::start(&scene.deployment, &[])?;
            }
        }
    }
    // Purges come every 30 s, so that a short campaign sees some at least here.
    sleep(BETWEEN * 4).await;
    Ok(second)
}

/// Looks at the books of both relays, for ever: they are exact whenever they are given.
async fn sample(admins: [&Admin; 2], samples: &mut usize) -> Failure {
    loop {
        for admin in admins {
            if let Ok(Ok(books)) = timeout(ASK_LIMIT, admin.books()).await {
                if !books.is_exact() {
                    return Failure::new(format!("sample {samples}: the books are off: {books:?}"));
                }
                *samples += 1;
            }
        }
        sleep(SAMPLE_EVERY).await;
    }
}

/// Puts and deletes destinations that nothing fits, and sources that nobody posts to, for ever.
async fn change(admin: &Admin, changes: &mut usize) -> Failure {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let destination = |number: usize| {
        let url = format!("http://127.0.0.1:9/{number}");
        json!({"url": url, "subscribe": {"types": ["no.such"]}, "secrets": [secret]})
    };
    let source = json!({"verify": {"scheme": "standard", "secrets": [secret]}});
    for number in 0.. {
        let (method, path, body): (_, _, Option<Value>) = match number % 4 {
            0 | 1 => (Method::PUT, "/v1/destinations/nobody", Some(destination(number))),
            2 => (Method::PUT, "/v1/sources/silent", Some(source.clone())),
            _ => (Method::DELETE, "/v1/destinations/nobody", None),
        };
        let made = timeout(ASK_LIMIT, admin.request(method, path, body.as_ref())).await;
        *changes += usize::from(matches!(made, Ok(Ok(reply)) if reply.status.is_success()));
        sleep(CHANGE_EVERY).await;
    }
    Failure::new("there are no more numbers")
}
