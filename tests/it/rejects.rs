//! What is refused is recorded in its region, and listed in the centre: once, with the reason, and without a
//! credential.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use floodgate_event::format::{VERSION, Versioned};
use floodgate_event::proto::HeldRequest;
use floodgate_event::seal::OpeningKey;
use floodgate_event::{held, subject};
use floodgate_testkit::command;
use floodgate_testkit::sender::Raw;
use floodgate_testkit::sign::{self, Signed};
use floodgate_testkit::{Failure, Result, Scene, wait};
use nix::sys::signal::Signal;
use reqwest::{Method, Url};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// For a refusal to be copied to the centre, also by a relay that was killed.
const LIMIT: Duration = Duration::from_secs(60);
/// Nobody may find this in the record.
const CREDENTIAL: &str = "s3cr3t-cr3dential";
const FLOOD: u64 = 300;
/// More requests than a replay gives up after, if it believes that no gateway takes any.
const OF_AN_EARLIER_KEY: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_listed_with_its_reason() -> Result<()> {
    Scene::play(async |scene| {
        scene.sender.post("eu", &scene.standard("msg_1", "{}")?).await?.accepted()?;
        let refused = refuse(scene).await?;
        let listed = listed(scene, "", refused).await?;
        let rows: BTreeSet<_> =
            listed.iter().map(|row| [text(row, "region"), text(row, "code"), text(row, "step")]).collect();
        let expected = [
            ["eu", "expectation-failed", ""],
            ["eu", "not-found", ""],
            ["eu", "signature-refused", "form"],
            ["eu", "signature-refused", "signature"],
            ["us", "signature-refused", "time"],
        ];
        assert_eq!(rows, expected.map(|row| row.map(str::to_owned)).into(), "{listed:#?}");
        assert!(!format!("{listed:?}").contains(CREDENTIAL), "{listed:#?}");
        let forged =
            listed.iter().find(|row| row["step"] == "signature").ok_or(Failure::new("no such row"))?;
        assert_eq!(
            (&forged["source"], &forged["scheme"], &forged["status"]),
            (&"standard".into(), &"standard".into(), &401.into())
        );
        assert_eq!(forged["request"]["body"], r#"{"forged":true}"#);
        assert_eq!(forged["request"]["body_bytes"], 15);
        only_what_was_asked_for(scene).await?;
        each_once_although_the_relay_is_killed(scene, refused).await?;
        connections_are_counted(scene).await?;
        a_flood_is_counted(scene).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_request_becomes_an_event_once_its_source_is_right() -> Result<()> {
    Scene::play(async |scene| {
        let (wrong, right) = (sign::new_standard_secret(), sign::new_standard_secret());
        put_late(scene, &wrong).await?;
        hold_under_an_earlier_key(scene).await?;
        let bodies = ["{\"n\": 1 }", "{\"n\":2}", "{\"n\":3}"];
        for (region, (number, body)) in ["eu", "us", "eu"].into_iter().zip(bodies.iter().enumerate()) {
            let signed = signed_earlier(&right, &format!("late_{number}"), body)?;
            assert_eq!(scene.sender.post(region, &signed).await?.status, 401);
        }
        let signed_by_nobody = signed_earlier(&sign::new_standard_secret(), "late_9", "{}")?;
        assert_eq!(scene.sender.post("eu", &signed_by_nobody).await?.status, 401);
        let rows = listed(scene, "&source=late", 4).await?;
        assert!(rows.iter().all(|row| row["held"] == true), "{rows:#?}");
        nobody_can_read_what_is_held(scene).await?;
        // From now on the signed time is too old, except by the time of receipt.
        tokio::time::sleep(TOLERANCE - SIGNED_AGO + Duration::from_secs(1)).await;

        let before = replay(scene, &["--dry-run"]).await?;
        assert_eq!(
            (before["matched"].as_u64(), before["verified"].as_u64(), before["failed"].as_u64()),
            (Some(OF_AN_EARLIER_KEY + 4), Some(0), Some(OF_AN_EARLIER_KEY)),
            "{before:#}"
        );
        put_late(scene, &right).await?;
        let preview = replay(scene, &["--dry-run"]).await?;
        assert_eq!(
            (preview["verified"].as_u64(), preview["refused"].as_u64()),
            (Some(3), Some(1)),
            "{preview:#}"
        );
        assert_eq!(preview["peers"]["127.0.0.1"]["verified"], 3, "{preview:#}");
        assert_eq!(scene.balanced_books().await?.events.accepted, 0, "nothing was replayed yet");
        what_does_not_exist_is_not_replayed(scene).await?;

        let replayed = replay(scene, &[]).await?;
        assert_eq!(
            (replayed["verified"].as_u64(), replayed["refused"].as_u64()),
            (Some(3), Some(1)),
            "{replayed:#}"
        );
        assert_eq!(scene.balanced_books().await?.events.accepted, 3);
        let delivered: BTreeSet<_> =
            scene.consumer.deliveries().iter().map(|delivery| delivery.body.clone()).collect();
        assert_eq!(delivered, bodies.map(|body| body.as_bytes().to_vec().into()).into(), "byte for byte");
        let again = replay(scene, &["--region", "eu"]).await?;
        assert_eq!(
            (again["matched"].as_u64(), again["refused"].as_u64(), again["failed"].as_u64()),
            (Some(OF_AN_EARLIER_KEY + 1), Some(1), Some(OF_AN_EARLIER_KEY)),
            "{again:#}"
        );
        // Its provider sends one of them again.
        let (late, body) = (sign::standard("late", &right, "late_0", bodies[0])?, bodies[0]);
        scene.sender.post("us", &late).await?.accepted()?;
        let books = scene.balanced_books().await?;
        assert_eq!((books.events.stored, books.events.duplicate), (3, 1), "{body} is delivered once");
        Ok(())
    })
    .await
}

/// As if the region's key had been changed, and the gateways started again. These are the oldest requests, so
/// that a replay comes to them first.
async fn hold_under_an_earlier_key(scene: &Scene) -> Result<()> {
    let earlier = OpeningKey::generate();
    let (method, target) = ("POST".to_owned(), "/in/late".to_owned());
    let request = HeldRequest { version: VERSION, method, target, ..HeldRequest::default() };
    let sealed = held::seal(earlier.sealing_key(), ("default", "late"), &request)?;
    let nats = scene.deployment.region_nats("eu").await?;
    for _ in 0..OF_AN_EARLIER_KEY {
        nats.publish(subject::held("late", "0a", 1), encoded(&sealed).into()).await?.await?;
    }
    Ok(())
}

fn encoded(message: &impl Versioned) -> Vec<u8> {
    message.encode_to_vec()
}

/// What the source allows, and how long before a request is sent it is signed.
const TOLERANCE: Duration = Duration::from_secs(30);
const SIGNED_AGO: Duration = Duration::from_secs(22);

async fn put_late(scene: &Scene, secret: &str) -> Result<()> {
    let verify = json!({"scheme": "standard", "secrets": [secret], "tolerance_seconds": TOLERANCE.as_secs()});
    scene.admin.put("/v1/sources/late", &json!({"verify": verify, "on_verify_failure": "hold"})).await?;
    Ok(())
}

fn signed_earlier(secret: &str, id: &str, body: &str) -> Result<Signed> {
    let mut signed = sign::standard("late", secret, id, body.to_owned())?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let time = (now - SIGNED_AGO).as_secs().to_string();
    let tag = sign::standard_tag(secret, id, &time, body.as_bytes())?;
    for (name, value) in &mut signed.headers {
        match *name {
            "webhook-timestamp" => value.clone_from(&time),
            "webhook-signature" => *value = format!("v1,{tag}"),
            _ => {}
        }
    }
    Ok(signed)
}

async fn nobody_can_read_what_is_held(scene: &Scene) -> Result<()> {
    let mut stream = scene.deployment.region_nats("eu").await?.get_stream("HELD").await?;
    let messages = stream.info().await?.state.messages;
    assert_eq!(messages, OF_AN_EARLIER_KEY + 3);
    for sequence in 1..=messages {
        let message = stream.get_raw_message(sequence).await?;
        let is_in_clear = message.payload.windows(10).any(|part| part == b"webhook-id");
        assert!(!is_in_clear, "{:?}", message.payload);
    }
    Ok(())
}

/// A misspelled name must not look like a replay of nothing.
async fn what_does_not_exist_is_not_replayed(scene: &Scene) -> Result<()> {
    for (order, named) in [
        (json!({"source": "late", "region": "typo"}), "there is no region `typo`: expected one of eu, us"),
        (json!({"source": "typo"}), "there is no source `typo`"),
    ] {
        let reply = scene.admin.request(Method::POST, "/v1/rejects/replays", Some(&order)).await?;
        let detail = text(&reply.body, "detail");
        assert!(reply.status == 422 && detail.contains(named), "{order}: {} {}", reply.status, reply.body);
    }
    Ok(())
}

/// What the command prints, whatever its exit status.
async fn replay(scene: &Scene, more: &[&str]) -> Result<Value> {
    let ready = scene.deployment.ready()?;
    let api = ["--api", &ready.admin.url, "--token", &ready.admin.token];
    let fixed = ["rejects", "replay", "--source", "late", "--json"];
    command::floodgate(fixed.iter().chain(&api).chain(more).copied()).await?.json()
}

/// Sends what has to be refused, one request of each kind, and returns how many.
async fn refuse(scene: &Scene) -> Result<usize> {
    let mut unsigned = scene.standard("msg_2", "{}")?;
    unsigned.headers.retain(|(name, _)| *name != "webhook-signature");
    unsigned.headers.push(("authorization", format!("Bearer {CREDENTIAL}")));
    let another_key =
        sign::standard("standard", &sign::new_standard_secret(), "msg_3", r#"{"forged":true}"#)?;
    let mut stale = scene.stripe("{}")?;
    for (name, value) in &mut stale.headers {
        if *name == "stripe-signature" {
            *value = "t=1,v1=00".to_owned();
        }
    }
    for (region, signed) in [("eu", &unsigned), ("eu", &another_key), ("us", &stale)] {
        assert_eq!(scene.sender.post(region, signed).await?.status, 401);
    }
    let unknown = Raw {
        method: Method::POST,
        headers: [("x-api-key".to_owned(), CREDENTIAL.to_owned())].into(),
        ..Raw::default()
    };
    let (status, _) = scene.sender.send("eu", &format!("/in/nobody?token={CREDENTIAL}"), &unknown).await?;
    assert_eq!(status, 404);
    let expects = Raw {
        method: Method::POST,
        headers: [("expect".to_owned(), "a-miracle".to_owned())].into(),
        ..Raw::default()
    };
    assert_eq!(scene.sender.send("eu", "/in/standard", &expects).await?.0, 417);
    Ok(5)
}

async fn listed(scene: &Scene, query: &str, least: usize) -> Result<Vec<Value>> {
    wait::until(format!("{least} refused requests with {query:?}"), LIMIT, async || {
        let items = page(scene, &format!("?limit=500{query}")).await?.0;
        Ok((items.len() >= least).then_some(items))
    })
    .await
}

async fn page(scene: &Scene, query: &str) -> Result<(Vec<Value>, Option<String>)> {
    let reply = scene.admin.request(Method::GET, &format!("/v1/rejects{query}"), None).await?;
    if reply.status != 200 {
        return Err(Failure::new(format!("{query}: {} {}", reply.status, reply.body)));
    }
    let items = reply.body["items"].as_array().cloned().unwrap_or_default();
    Ok((items, reply.body["next"].as_str().map(str::to_owned)))
}

fn text(row: &Value, field: &str) -> String {
    row[field].as_str().unwrap_or_default().to_owned()
}

async fn only_what_was_asked_for(scene: &Scene) -> Result<()> {
    for (query, expected) in [
        ("?region=us", 1),
        ("?source=-", 2),
        ("?source=standard&code=signature-refused", 2),
        ("?peer=127.0.0.1", 5),
        ("?peer=192.0.2.1", 0),
        ("?to=2020-01-01T00:00:00Z", 0),
        ("?from=2020-01-01T00:00:00Z", 5),
    ] {
        assert_eq!(page(scene, query).await?.0.len(), expected, "{query}");
    }
    let bad = ["?limit=0", "?limit=501", "?after=x", "?from=yesterday", "?peer=x", "?colour=red"];
    for query in bad {
        let reply = scene.admin.request(Method::GET, &format!("/v1/rejects{query}"), None).await?;
        assert!([400, 422].contains(&reply.status.as_u16()), "{query}: {} {}", reply.status, reply.body);
    }
    Ok(())
}

/// Also page by page.
async fn each_once_although_the_relay_is_killed(scene: &Scene, before: usize) -> Result<()> {
    scene.deployment.kill("relay").await?;
    let forged = sign::standard("standard", &sign::new_standard_secret(), "msg_4", "{}")?;
    scene.sender.post("us", &forged).await?;
    let listed = listed(scene, "", before + 1).await?;
    let ids: BTreeSet<_> = listed.iter().map(|row| text(row, "id")).collect();
    assert_eq!((ids.len(), listed.len()), (before + 1, before + 1), "{listed:#?}");
    let (mut paged, mut after) = (Vec::new(), String::new());
    loop {
        let (items, next) = page(scene, &format!("?limit=2{after}")).await?;
        paged.extend(items);
        let Some(next) = next else { break };
        after = format!("&after={next}");
    }
    assert_eq!(paged, listed, "page by page it is the same");
    Ok(())
}

/// As one row of the peer, which a gateway that stops does not forget.
async fn connections_are_counted(scene: &Scene) -> Result<()> {
    for _ in 0..3 {
        speak_garbage(scene, "eu").await?;
    }
    scene.deployment.signal("gateway-eu", Signal::SIGTERM)?;
    let rows = listed(scene, "&code=connection", 1).await?;
    let row = &rows[0];
    assert_eq!(
        (&row["step"], &row["count"], &row["peer"]),
        (&"tls".into(), &3.into(), &"127.0.0.1".into()),
        "{row:#}"
    );
    assert!(row["status"].is_null() && row["source"].is_null(), "{row:#}");
    wait::until("the gateway to be back", LIMIT, async || {
        Ok(matches!(scene.sender.get("eu", "/readyz").await, Ok(200)).then_some(()))
    })
    .await
}

/// Some of it is listed, and nothing of it is uncounted.
async fn a_flood_is_counted(scene: &Scene) -> Result<()> {
    let forged: Vec<Signed> = (0..FLOOD)
        .map(|number| {
            sign::standard("standard", &sign::new_standard_secret(), &format!("flood_{number}"), "{}")
        })
        .collect::<Result<_>>()?;
    for signed in &forged {
        assert_eq!(scene.sender.post("us", signed).await?.status, 401);
    }
    // The next row says how many are not listed. It is written once there is room for it.
    let last = wait::until("the flood to be counted", LIMIT, async || {
        scene.sender.post("us", &forged[0]).await?;
        let (items, _) = page(scene, "?region=us&source=standard&limit=500").await?;
        let left_out: u64 = items.iter().filter_map(|row| row["left_out"].as_u64()).sum();
        Ok((left_out > 0).then_some((items.len(), left_out)))
    })
    .await?;
    let (rows, left_out) = last;
    assert!(rows as u64 + left_out >= FLOOD && left_out > FLOOD / 2, "{rows} rows and {left_out} left out");
    Ok(())
}

/// Speaks no TLS, and waits until the gateway has closed the connection.
async fn speak_garbage(scene: &Scene, region: &str) -> Result<()> {
    let ready = scene.deployment.ready()?;
    let region = ready.regions.get(region).ok_or(Failure::new("no such region"))?;
    let url: Url = region.url.parse()?;
    let port = url.port().ok_or(Failure::new("no port"))?;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await?;
    // It may answer with an alert, or reset.
    let _ = stream.read_to_end(&mut Vec::new()).await;
    Ok(())
}
