//! Own applications send batches with a bearer token, through any region.

use std::collections::{BTreeMap, BTreeSet};

use floodgate_testkit::sender::Raw;
use floodgate_testkit::{Failure, Result, Scene, outside, sign};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

const EVENTS: usize = 300;

#[derive(Deserialize)]
struct Answer {
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    id: String,
    status: String,
}

/// Events whose numbers, spaces and order of members an encoder would not leave as they are.
fn events() -> Vec<String> {
    let event = |number| {
        format!(
            r#"{{"n": {number}.10,"type" :"order.paid", "id":"order-{number}","note":"caf\u00e9 \"ü\" {{[,"}}"#
        )
    };
    (0..EVENTS).map(event).collect()
}

/// Puts a source for own applications, and returns what makes a request to it.
async fn put(scene: &Scene) -> Result<impl Fn(&str, String) -> Raw> {
    let token = sign::new_text_secret();
    let document = json!({"verify": {"scheme": "token", "secrets": [token]}});
    scene.admin.put("/v1/sources/shop", &document).await?;
    Ok(move |content_type: &str, body| Raw {
        method: Method::POST,
        headers: BTreeMap::from([
            ("authorization".to_owned(), format!("Bearer {token}")),
            ("content-type".to_owned(), content_type.to_owned()),
        ]),
        body,
    })
}

/// The ids that a region gave the events of a batch.
async fn sent(scene: &Scene, region: &str, request: &Raw) -> Result<Vec<String>> {
    let (status, body) = scene.sender.send(region, "/v1/events", request).await?;
    if status != 200 {
        return Err(Failure::new(format!("{region} answered {status} {body}")));
    }
    let answer: Answer = serde_json::from_str(&body)?;
    assert!(answer.events.iter().all(|event| event.status == "accepted"), "{body}");
    Ok(answer.events.into_iter().map(|event| event.id).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_through_two_regions_is_delivered_once_byte_for_byte() -> Result<()> {
    Scene::play(async |scene| {
        let request = put(scene).await?;
        let events = events();
        let ids =
            sent(scene, "eu", &request("application/json", format!("[{}]", events.join(" ,\n")))).await?;
        let again = sent(scene, "us", &request("application/x-ndjson", events.join("\r\n"))).await?;
        assert_eq!(ids, again, "the same events have the same ids in every region and form");

        let books = scene.balanced_books().await?;
        let expected = (2 * EVENTS as u64, EVENTS as u64, EVENTS as u64);
        assert_eq!((books.events.accepted, books.events.stored, books.events.duplicate), expected);
        scene.check_no_repeats()?;
        let deliveries = scene.consumer.deliveries();
        let delivered: BTreeMap<&str, _> =
            deliveries.iter().map(|delivery| (delivery.id.as_str(), delivery)).collect();
        assert_eq!(delivered.len(), EVENTS);
        for (id, event) in ids.iter().zip(&events) {
            let delivery = delivered.get(id.as_str()).ok_or_else(|| Failure::new(format!("no {id}")))?;
            assert_eq!(delivery.body, event.as_bytes());
            assert_eq!(delivery.header("content-type"), "application/json");
            assert_eq!(delivery.header("floodgate-event-type"), "order.paid");
        }

        let bad = request("application/json", format!("[{},{{\"id\": 5}}]", events[0]));
        let (status, body) = scene.sender.send("eu", "/v1/events", &bad).await?;
        assert_eq!(status, 400, "{body}");
        assert!(body.contains("event 1: `id`"), "{body}");
        assert_eq!(scene.balanced_books().await?.events.accepted, expected.0);
        Ok(())
    })
    .await
}

/// What the library of the CloudEvents project writes is taken, and is one event in either mode.
#[tokio::test(flavor = "multi_thread")]
async fn cloud_events_of_the_public_library_are_taken() -> Result<()> {
    Scene::play(async |scene| {
        let request = put(scene).await?;
        let odd = "Euro € 😀 100% \"x\" a/b";
        let attributes =
            |source: &str, id: &str| json!({"id": id, "source": source, "type": odd, "subject": odd});
        let events = json!([
            {"attributes": attributes("/shop/berlin", "1"), "data": {"n": 1}},
            {"attributes": attributes("https://shop.example/?a=b%20c#d", "1"), "data": {"n": 1}},
            {"attributes": attributes("/shop/berlin", odd), "data": [1, "é"]},
        ]);
        let mut ids = BTreeSet::new();
        for event in outside::cloud_events(&events).await? {
            let mut answers = Vec::new();
            for (region, message) in [("eu", event.binary), ("us", event.structured)] {
                let mut raw = request("application/json", message.body);
                raw.headers.extend(message.headers);
                let (status, body) = scene.sender.send(region, "/v1/events", &raw).await?;
                assert_eq!(status, 200, "{body}");
                answers.push(body);
            }
            assert_eq!(answers[0], answers[1], "one event in both modes");
            ids.insert(answers.remove(0));
        }
        assert_eq!(ids.len(), 3);
        let books = scene.balanced_books().await?;
        assert_eq!((books.events.accepted, books.events.stored), (6, 3));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_two_sources_get_the_same_token() -> Result<()> {
    Scene::play(async |scene| {
        let token = sign::new_text_secret();
        let document = json!({"verify": {"scheme": "token", "secrets": [token]}});
        scene.admin.put("/v1/sources/shop", &document).await?;
        let refused = scene.admin.put("/v1/sources/cafe", &document).await.unwrap_err().to_string();
        assert!(refused.contains("verify.secrets[0]") && refused.contains("`shop`"), "{refused}");
        assert!(!refused.contains(&token), "{refused}");
        Ok(())
    })
    .await
}
