//! The table of answers in the ingest interface.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use floodgate_event::Lane;
use floodgate_event::snapshot::Source;
use http::{Method, Request};

use crate::client::{Client, signed};
use crate::region::{Region, until};

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap().into()
}

fn encoded(coding: &str, body: Bytes) -> Request<Bytes> {
    let mut request = signed(body);
    request.headers_mut().insert("content-encoding", coding.parse().unwrap());
    request
}

async fn status(client: &mut Client, request: Request<Bytes>) -> u16 {
    client.send(request).await.status
}

#[tokio::test]
async fn the_table_of_answers() {
    let region = Region::with_source(r#"{"max_body_bytes": 1000, "lanes": {"urgent": "critical"}}"#).await;
    let mut client = region.client().await;

    let accepted = client.post("{}").await;
    assert_eq!(accepted.status, 200, "{}", accepted.body);
    assert!(accepted.body.starts_with(r#"{"id":"evt_"#), "{}", accepted.body);
    assert_eq!(client.post("{}").await.body, accepted.body, "the same body is the same event");
    assert_eq!(region.nats.messages(Lane::Standard).await, 2);

    let mut forged = signed("{}");
    *forged.body_mut() = Bytes::from_static(b"{ }");
    let refused = client.send(forged).await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.headers["content-type"], "application/problem+json");
    assert_eq!(status(&mut client, Request::post("/in/github").body(Bytes::new()).unwrap()).await, 401);

    let mut elsewhere = signed("{}");
    *elsewhere.uri_mut() = "/in/nobody".parse().unwrap();
    assert_eq!(status(&mut client, elsewhere).await, 404);
    let mut read = signed("{}");
    *read.method_mut() = Method::PUT;
    let refused = client.send(read).await;
    assert_eq!((refused.status, &refused.headers["allow"]), (405, &"POST, OPTIONS".parse().unwrap()));

    assert_eq!(status(&mut client, signed("x".repeat(1000))).await, 200);
    assert_eq!(status(&mut client, signed("x".repeat(1001))).await, 413);
    assert_eq!(status(&mut client, signed("x".repeat(3_000_000))).await, 413);
    assert_eq!(status(&mut client, encoded("gzip", gzip(&[b'x'; 1000]))).await, 200);
    assert_eq!(status(&mut client, encoded("gzip", gzip(&[b'x'; 1001]))).await, 413);
    assert_eq!(status(&mut client, encoded("gzip", Bytes::from_static(b"no"))).await, 400);
    assert_eq!(status(&mut client, encoded("br", Bytes::from_static(b"no"))).await, 415);

    let mut urgent = signed("{}");
    urgent.headers_mut().insert("x-github-event", "urgent".parse().unwrap());
    assert_eq!(status(&mut client, urgent).await, 200);
    assert_eq!(region.nats.messages(Lane::Critical).await, 1);
    assert_eq!(region.nats.messages(Lane::Standard).await, 4, "what was refused was not stored");
}

#[tokio::test]
async fn a_source_chooses_its_answer_and_its_rate() {
    let region = Region::with_source(r#"{"status": 204, "rate_limit": {"per_second": 1, "burst": 2}}"#).await;
    let mut client = region.client().await;
    let mut forged = signed("{}");
    *forged.body_mut() = Bytes::from_static(b"{ }");
    for _ in 0..5 {
        assert_eq!(status(&mut client, forged.clone()).await, 401);
    }
    let accepted = client.post("{}").await;
    assert_eq!((accepted.status, accepted.body.as_str()), (204, ""), "forged requests use up nothing");
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(client.post("{}").await);
    }
    let limited = answers.iter().find(|answer| answer.status == 429).expect("one is over the rate");
    assert!(limited.headers.contains_key("retry-after"));
}

/// Anybody can send them, so they must not keep out what the provider sends.
#[tokio::test]
async fn unsigned_handshakes_use_up_no_rate() {
    let region = Region::with_source("{}").await;
    let graph = Source {
        scheme: "microsoft-graph".parse().unwrap(),
        ..region.source_with("graph", r#"{"rate_limit": {"per_second": 1, "burst": 1}}"#)
    };
    let mut snapshot = region.snapshot(2, "{}");
    snapshot.sources.insert("graph".parse().unwrap(), graph);
    region.configure(snapshot).await;
    let mut client = region.client().await;
    let ask = |token: &str| {
        let uri = format!("/in/graph?validationToken={token}");
        Request::post(uri).body(Bytes::new()).unwrap()
    };
    until("the source is served", async || region.client().await.send(ask("a")).await.status == 200).await;
    for _ in 0..20 {
        let answer = client.send(ask("abc")).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "abc"));
    }
    assert_eq!(client.send(ask(&"a".repeat(5_000))).await.status, 401, "what is repeated has a bound");
}
