//! No 2xx without a publish ack, whatever is wrong with NATS.

use floodgate_event::Lane;

use crate::nats::stream_config;
use crate::region::{Region, until};

#[tokio::test]
async fn a_full_stream_gives_503_until_there_is_room() {
    let region = Region::with_source("{}").await;
    let context = region.nats.context().await;
    let mut full = stream_config(Lane::Standard);
    full.max_messages = 1;
    context.update_stream(full).await.unwrap();

    let mut client = region.client().await;
    assert_eq!(client.post("1").await.status, 200);
    let refused = client.post("2").await;
    assert_eq!(
        (refused.status, refused.headers.contains_key("retry-after")),
        (503, true),
        "{}",
        refused.body
    );
    assert_eq!(region.nats.messages(Lane::Standard).await, 1);

    context.get_stream("IN_STANDARD").await.unwrap().purge().await.unwrap();
    assert_eq!(client.post("2").await.status, 200);
}

#[tokio::test]
async fn a_missing_stream_gives_503() {
    let region = Region::with_source("{}").await;
    region.nats.context().await.delete_stream("IN_STANDARD").await.unwrap();
    let mut client = region.client().await;
    assert_eq!(client.post("1").await.status, 503);
    until("it says that it is not ready", async || region.client().await.get("/readyz").await == 503).await;
}

#[tokio::test]
async fn a_killed_server_gives_503_and_loses_nothing() {
    let mut region = Region::with_source("{}").await;
    let mut client = region.client().await;
    assert_eq!(client.post("1").await.status, 200);
    region.nats.kill();
    until("it says that it is not ready", async || region.client().await.get("/readyz").await == 503).await;
    assert_eq!(client.post("2").await.status, 503);
    assert_eq!(client.get("/healthz").await, 200);
    region.nats.restart();
    region.until_ready().await;
    assert_eq!(region.nats.messages(Lane::Standard).await, 1, "what got 503 was not sent later");
    assert_eq!(client.post("2").await.status, 200);
    assert_eq!(region.nats.messages(Lane::Standard).await, 2);
}

#[tokio::test]
async fn a_frozen_server_gives_503() {
    let region = Region::bare("plaintext = true", "[limits]\npublish_timeout_ms = 300").await;
    region.nats.provision().await;
    region.configure(region.snapshot(1, "{}")).await;
    region.until_ready().await;
    let mut client = region.client().await;
    region.nats.freeze();
    let refused = client.post("1").await;
    region.nats.thaw();
    assert_eq!(refused.status, 503, "{}", refused.body);
    until("it accepts again", async || region.client().await.post("1").await.status == 200).await;
}
