//! What a batch is answered if not everything goes well.

use floodgate_event::source::OnFault;
use floodgate_event::{Digest256, Lane, subject};
use floodgate_sandbox_guests::component;

use super::{BATCH, TOKEN, array, each, event, ids, json, region, request, send, statuses};
use crate::compile::bind;
use crate::nats::stream_config;
use crate::region::{Region, until};

#[tokio::test]
async fn what_is_not_durable_is_said_of_each_event_and_sent_again() {
    let region = region(r#"{"status": 202, "lanes": {"urgent": "critical"}}"#).await;
    let context = region.nats.context().await;
    let mut full = stream_config(Lane::Critical);
    full.max_messages = 1;
    context.update_stream(full).await.unwrap();
    let first = send(&region, request(BATCH, event("first", "urgent"))).await;
    assert_eq!(first.status, 202, "{}", first.body);

    let batch = array(&[("a", "t"), ("b", "urgent"), ("c", "t")]);
    let partly = send(&region, request(BATCH, batch.clone())).await;
    assert_eq!((partly.status, partly.headers.contains_key("retry-after")), (503, true), "{}", partly.body);
    assert_eq!(partly.headers["content-type"], "application/problem+json");
    assert_eq!(statuses(&partly), ["accepted", "unavailable", "accepted"]);
    let problem = json(&partly);
    assert_eq!(problem["type"], "urn:floodgate:problem:unavailable");
    assert_eq!(problem["detail"], "1 of 3 events not taken: send all of them again");
    assert_eq!(problem["events"][1]["detail"], "not made durable");

    context.get_stream("IN_CRITICAL").await.unwrap().purge().await.unwrap();
    let again = send(&region, request(BATCH, batch)).await;
    assert_eq!((again.status, statuses(&again)), (202, vec!["accepted".to_owned(); 3]), "{}", again.body);
    assert_eq!(ids(&again), ids(&partly), "the same ids, so that what was durable is a duplicate");
}

#[tokio::test]
async fn without_nats_each_event_of_a_batch_is_unavailable() {
    let mut region = region("{}").await;
    let batch = array(&[("a", "t"), ("b", "t")]);
    region.nats.kill();
    until("it says that it is not ready", async || region.client().await.get("/readyz").await == 503).await;
    let refused = send(&region, request(BATCH, batch.clone())).await;
    assert_eq!(
        (refused.status, refused.headers.contains_key("retry-after")),
        (503, true),
        "{}",
        refused.body
    );
    assert_eq!(statuses(&refused), ["unavailable"; 2]);
    region.nats.restart();
    region.until_ready().await;
    let taken = send(&region, request(BATCH, batch)).await;
    assert_eq!((taken.status, ids(&taken)), (200, ids(&refused)));
    assert_eq!(region.nats.events(Lane::Standard).await.len(), 2, "what got 503 was not sent later");
}

/// `ok(respond(418, [], memory[16..17]))`.
const ANSWER: &str = "(i32.store8 (i32.const 1028) (i32.const 4))
    (i32.store16 (i32.const 1032) (i32.const 418))
    (i32.store (i32.const 1044) (i32.const 16)) (i32.store (i32.const 1048) (i32.const 1)) (i32.const 1024)";

/// A region whose source `shop` runs a handler of this body.
async fn with_handler(handle: &str, on_fault: OnFault) -> Region {
    let region = Region::bare("plaintext = true", "").await;
    region.nats.provision().await;
    let component = component(handle);
    let store = region.nats.context().await.get_object_store(subject::HANDLERS_BUCKET).await.unwrap();
    store.put(Digest256::of(&component).to_string().as_str(), &mut &*component).await.unwrap();
    let mut snapshot = region.snapshot(1, "{}");
    snapshot.sources = [("shop".parse().unwrap(), region.application("shop", &[TOKEN], "{}"))].into();
    bind(&mut snapshot, &component);
    snapshot.sources.values_mut().next().unwrap().handlers[0].on_fault = on_fault;
    region.configure(snapshot).await;
    region.until_ready().await;
    region
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_handler_answers_stands_beside_its_event() {
    let region = with_handler(ANSWER, OnFault::Reject).await;
    let one = send(&region, request(BATCH, event("a", "t"))).await;
    assert_eq!((one.status, one.body.as_str()), (418, "a"), "alone, the handler's answer is the answer");
    let batch = send(&region, request(BATCH, array(&[("a", "t"), ("b", "t")]))).await;
    assert_eq!((batch.status, statuses(&batch)), (200, vec!["answered".to_owned(); 2]), "{}", batch.body);
    assert_eq!(json(&batch)["events"][0]["code"], 418);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_fails_makes_its_event_fail() {
    let region = with_handler("unreachable", OnFault::Reject).await;
    let batch = send(&region, request(BATCH, array(&[("a", "t"), ("b", "t")]))).await;
    assert_eq!(batch.status, 503, "{}", batch.body);
    assert!(each(&batch).iter().all(|(_, status)| status == "handler-fault"), "{}", batch.body);
    assert_eq!(region.nats.messages(Lane::Standard).await, 0);
}
