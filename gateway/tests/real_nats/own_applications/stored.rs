//! What is stored of the events of own applications.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use floodgate_event::Lane;
use floodgate_event::proto::Event;
use http::Request;

use super::{BATCH, TOKEN, array, event, ids, json, region, request, send, statuses};

fn raw(event: &Event) -> &str {
    std::str::from_utf8(event.request.as_ref().unwrap().raw.as_deref().unwrap()).unwrap()
}

fn header(event: &Event, name: &str) -> Vec<String> {
    let headers = event.request.as_ref().unwrap().headers.iter().filter(|header| header.name == name);
    headers.map(|header| String::from_utf8(header.value.to_vec()).unwrap()).collect()
}

#[tokio::test]
async fn one_event_or_a_batch_is_stored_byte_for_byte() {
    let region =
        region(r#"{"lanes": {"urgent": "critical"}, "rate_limit": {"per_second": 100, "burst": 100}}"#).await;
    let one = send(&region, request(BATCH, format!(" {}\n", event("a", "t")))).await;
    assert_eq!((one.status, &json(&one)["status"]), (200, &"accepted".into()), "{}", one.body);

    let batch = send(&region, request(BATCH, array(&[("a", "t"), ("b", "urgent"), ("c", "t")]))).await;
    assert_eq!(batch.status, 200, "{}", batch.body);
    assert_eq!(statuses(&batch), ["accepted"; 3]);
    assert_eq!(json(&one)["id"], ids(&batch)[0].as_str(), "the same event, alone and in a batch");
    let lines = format!("{}\r\n\n{}", event("b", "urgent"), event("c", "t"));
    let lines = send(&region, request("application/x-ndjson", lines)).await;
    assert_eq!(ids(&lines), ids(&batch)[1..], "the same events in another form");

    let stored = region.nats.events(Lane::Standard).await;
    let expected = [format!(" {}\n", event("a", "t")), event("a", "t"), event("c", "t"), event("c", "t")];
    assert_eq!(stored.iter().map(raw).collect::<Vec<_>>(), expected);
    assert_eq!(region.nats.events(Lane::Critical).await.len(), 2);
    let last = stored.last().unwrap();
    assert_eq!((last.provider_id.as_str(), last.r#type.as_str(), last.scheme.as_str()), ("c", "t", "token"));
    assert_eq!((&*last.content_type, header(last, "content-type")), (BATCH, vec![BATCH.to_owned()]));
    assert!(header(last, "authorization").is_empty() && header(last, "content-length").is_empty());
    assert!(last.payload.is_none(), "the raw bytes are the body");
    let used = region.metrics().await;
    assert!(used.contains("floodgate_source_secret_used_timestamp_seconds{secret=\"sec_"), "{used}");
}

#[tokio::test]
async fn a_compressed_batch_is_stored_as_the_events_that_it_has() {
    let region = region("{}").await;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(array(&[("a", "t"), ("b", "t")]).as_bytes()).unwrap();
    let mut packed = request(BATCH, Bytes::from(encoder.finish().unwrap()));
    packed.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    packed.headers_mut().insert("content-digest", "sha-256=:AA==:".parse().unwrap());
    packed.headers_mut().insert("x-own", "kept".parse().unwrap());
    let answer = send(&region, packed).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let stored = region.nats.events(Lane::Standard).await;
    assert_eq!(stored.iter().map(raw).collect::<Vec<_>>(), [event("a", "t"), event("b", "t")]);
    for stored in &stored {
        assert!(header(stored, "content-encoding").is_empty() && header(stored, "content-digest").is_empty());
        assert_eq!(header(stored, "x-own"), ["kept"]);
    }
}

#[tokio::test]
async fn cloud_events_are_taken_in_every_mode() {
    let region = region("{}").await;
    let structured = r#"{"specversion":"1.0","id":"1","source":"/shop","type":"paid","data":{"n":1.10}}"#;
    let one = send(&region, request("application/cloudevents+json; charset=utf-8", structured)).await;
    assert_eq!(one.status, 200, "{}", one.body);
    let batch = format!("[{structured},{}]", structured.replace("/shop", "/cafe"));
    let batch = send(&region, request("application/cloudevents-batch+json", batch)).await;
    let same = json(&one)["id"].as_str().unwrap().to_owned();
    assert_eq!(ids(&batch)[0], same);
    assert_ne!(ids(&batch)[1], same, "another source");
    let binary = Request::post("/v1/events")
        .header("authorization", format!("bearer {TOKEN}"))
        .header("content-type", "text/plain")
        .header("ce-specversion", "1.0")
        .header("ce-id", "1")
        .header("ce-source", "/shop")
        .header("ce-type", "pa%69d")
        .body(Bytes::from_static(b"any \xff bytes"))
        .unwrap();
    let binary = send(&region, binary).await;
    assert_eq!(json(&binary)["id"], same.as_str(), "{}", binary.body);

    let stored = region.nats.events(Lane::Standard).await;
    assert!(stored.iter().all(|event| event.r#type == "paid"), "{stored:?}");
    let types: Vec<_> = stored.iter().map(|event| event.content_type.as_str()).collect();
    let cloud = "application/cloudevents+json";
    assert_eq!(types, ["application/cloudevents+json; charset=utf-8", cloud, cloud, "text/plain"]);
    assert_eq!(stored[0].provider_id, "/shop 1");
    let last = stored.last().unwrap().request.as_ref().unwrap();
    assert_eq!(last.raw.as_deref(), Some(&b"any \xff bytes"[..]));
}

#[tokio::test]
async fn a_batch_fills_blocks() {
    const EVENTS: usize = 500;
    let region = region("{}").await;
    let names: Vec<String> = (0..EVENTS).map(|number| number.to_string()).collect();
    let events: Vec<_> = names.iter().map(|name| (name.as_str(), "t")).collect();
    let answer = send(&region, request(BATCH, array(&events))).await;
    assert_eq!((answer.status, ids(&answer).len()), (200, EVENTS));
    let stored = region.nats.events(Lane::Standard).await;
    assert_eq!(stored.iter().map(|event| event.provider_id.as_str()).collect::<Vec<_>>(), names, "in order");
    let blocks = region.nats.messages(Lane::Standard).await;
    assert!(blocks <= EVENTS as u64 / 8, "{blocks} blocks");
}

#[tokio::test]
async fn events_of_one_request_may_be_the_same() {
    let region = region("{}").await;
    let twice = send(&region, request(BATCH, array(&[("a", "t"), ("a", "t")]))).await;
    assert_eq!((twice.status, statuses(&twice)), (200, vec!["accepted".to_owned(); 2]));
    assert_eq!(ids(&twice)[0], ids(&twice)[1], "the centre tells duplicates");
}
