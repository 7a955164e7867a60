//! The same event through two regions, and twice through one.

use std::collections::BTreeSet;

use floodgate_testkit::{Result, Scene, fixtures, metrics, outside};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_same_event_is_stored_and_delivered_once() -> Result<()> {
    Scene::play(async |scene| {
        let ids = send_everything_three_times(scene).await?;
        let books = scene.balanced_books().await?;

        let events = ids.len() as u64;
        assert_eq!(
            (books.events.accepted, books.events.stored, books.events.duplicate),
            (3 * events, events, 2 * events)
        );
        let log = outside::read_log(&scene.deployment).await?;
        log.check()?;
        assert_eq!(log.count("stored").len(), ids.len(), "each event is stored");
        assert_eq!(log.total("duplicate"), 2 * events, "every further copy left its verdict");
        let deliveries = scene.consumer.counts();
        assert!(ids.iter().all(|id| deliveries.get(id) == Some(&1)), "each came once: {deliveries:?}");
        Ok(())
    })
    .await
}

/// Twice to one region, once to the other; gives the ids, which must agree.
async fn send_everything_three_times(scene: &Scene) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    let github =
        fixtures::GITHUB.iter().map(|payload| scene.github(payload.event, "delivery-1", payload.body));
    let stripe = fixtures::STRIPE.iter().map(|payload| scene.stripe(payload.body));
    let standard = std::iter::once(scene.standard("msg_1", r#"{"type":"order.paid"}"#));
    for signed in github.chain(stripe).chain(standard) {
        let signed = signed?;
        let mut answers = Vec::new();
        for region in ["eu", "eu", "us"] {
            answers.push(scene.sender.post(region, &signed).await?.accepted()?.to_owned());
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "every region answers with the same id");
        ids.append(&mut answers);
    }
    Ok(ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_the_signature_does_not_cover_decides_nothing() -> Result<()> {
    Scene::play(async |scene| {
        let body = fixtures::GITHUB[0].body;
        let first = scene.sender.post("eu", &scene.github("push", "delivery-1", body)?).await?;
        let replayed = scene.sender.post("us", &scene.github("push", "delivery-2", body)?).await?;
        assert_eq!(
            first.accepted()?,
            replayed.accepted()?,
            "another X-GitHub-Delivery, the same signed body"
        );

        scene.balanced_books().await?;
        assert_eq!(scene.consumer.deliveries().len(), 1);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_body_under_a_covered_id_is_a_duplicate() -> Result<()> {
    Scene::play(async |scene| {
        let first = scene.sender.post("eu", &scene.standard("msg_1", r#"{"type":"a","n":1}"#)?).await?;
        let rewritten = scene.sender.post("us", &scene.standard("msg_1", r#"{"type":"a","n":2}"#)?).await?;
        assert_eq!(first.accepted()?, rewritten.accepted()?);

        let books = scene.balanced_books().await?;
        assert_eq!((books.events.stored, books.events.duplicate), (1, 1));
        assert_eq!(scene.consumer.deliveries().len(), 1);
        Ok(())
    })
    .await
}

/// Bodies of the type `order.odd`, each with something that a parser refuses.
const ODD: [&[u8]; 6] = [
    b"\xef\xbb\xbf{\"type\":\"order.odd\"}",
    br#"{"\ud83d":1,"type":"order.odd"}"#,
    br#"{"note":"\ud83d","type":"order.odd"}"#,
    b"{\"caf\xe9\":1,\"type\":\"order.odd\"}",
    br#"{"ratio":NaN,"type":"order.odd"}"#,
    br#"{"type":"order.odd"} and more"#,
];

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_two_stay_two_and_keep_their_type() -> Result<()> {
    Scene::play(async |scene| {
        let body = fixtures::GITHUB[0].body;
        let mut sent =
            vec![scene.github("push", "delivery-1", body)?, scene.github("star", "delivery-1", body)?];
        for length in [600, 30_000] {
            sent.push(scene.standard(&"m".repeat(length), r#"{"type":"order.paid"}"#)?);
        }
        for (number, odd) in ODD.iter().enumerate() {
            sent.push(scene.standard(&format!("odd_{number}"), *odd)?);
        }
        let mut ids = BTreeSet::new();
        for signed in &sent {
            let eu = scene.sender.post("eu", signed).await?.accepted()?.to_owned();
            assert_eq!(eu, scene.sender.post("us", signed).await?.accepted()?);
            ids.insert(eu);
        }
        assert_eq!(ids.len(), sent.len(), "each is an event of its own");

        let books = scene.balanced_books().await?;
        assert_eq!((books.events.stored, books.events.duplicate), (ids.len() as u64, ids.len() as u64));
        let deliveries = scene.consumer.deliveries();
        let of_type = |event_type: &str| {
            deliveries.iter().filter(|delivery| delivery.header("floodgate-event-type") == event_type).count()
        };
        let counts = ["push", "star", "order.paid", "order.odd"].map(of_type);
        assert_eq!(counts, [1, 1, 2, ODD.len()]);
        what_cannot_be_read_or_verified_is_said(scene).await?;
        types_that_are_not_listed_are_refused(scene).await
    })
    .await
}

async fn what_cannot_be_read_or_verified_is_said(scene: &Scene) -> Result<()> {
    let odd = scene.standard("odd_type", r#"{"type":"\ud83d"}"#)?;
    let id = scene.sender.post("eu", &odd).await?.accepted()?.to_owned();
    let forged = scene.github("push", "delivery-1", fixtures::GITHUB[0].body)?.forged();
    assert_eq!(scene.sender.post("eu", &forged).await?.status, 401);
    let page = metrics::page(&scene.deployment.ready()?.regions["eu"].metrics).await?;
    for line in [
        r#"floodgate_unread_fields_total{field="type",reason="malformed",source="standard"} 1"#,
        r#"floodgate_signatures_refused_total{reason="no_match",source="github"} 1"#,
    ] {
        assert!(page.lines().any(|there| there == line), "{line}: {page}");
    }
    scene.balanced_books().await?;
    let event = scene.admin.get(&format!("/v1/events/{id}")).await?;
    assert_eq!((&event["unread"], &event["type"]), (&json!({"type": "malformed"}), &json!("")));
    Ok(())
}

async fn types_that_are_not_listed_are_refused(scene: &Scene) -> Result<()> {
    let verify = json!({"scheme": "github", "secrets": [scene.secrets.github]});
    scene.admin.put("/v1/sources/github", &json!({"verify": verify, "types": ["push"]})).await?;
    for (event_type, status) in [("push", 200), ("star", 422)] {
        let signed = scene.github(event_type, "delivery-2", r#"{"n":1}"#)?;
        assert_eq!(scene.sender.post("eu", &signed).await?.status, status, "{event_type}");
    }
    Ok(())
}
