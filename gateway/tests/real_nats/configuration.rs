//! What the gateway makes of the region's snapshots.

use floodgate_event::subject;

use crate::region::{Region, until};

#[tokio::test]
async fn it_waits_for_its_streams_and_its_configuration() {
    let region = Region::bare("plaintext = true", "").await;
    let mut client = region.client().await;
    assert_eq!((client.get("/healthz").await, client.get("/readyz").await), (200, 503));
    assert_eq!(client.post("{}").await.status, 503);
    region.nats.provision().await;
    region.configure(region.snapshot(1, "{}")).await;
    region.until_ready().await;
    assert_eq!(client.post("{}").await.status, 200);
}

#[tokio::test]
async fn it_swaps_and_reports() {
    let region = Region::with_source("{}").await;
    region.configure(region.snapshot(2, r#"{"status": 202}"#)).await;
    until("the new one is served", async || region.client().await.post("{}").await.status == 202).await;
    until("it says so", async || region.report().await.is_some_and(|report| report.revision == 2)).await;
}

#[tokio::test]
async fn what_it_cannot_serve_leaves_the_one_before_in_place() {
    let region = Region::with_source("{}").await;
    let mut foreign = region.snapshot(2, r#"{"status": 202}"#);
    foreign.region = "us".parse().unwrap();
    region.configure(foreign).await;
    until("it reports the error", async || {
        region.report().await.is_some_and(|report| report.error.is_some())
    })
    .await;
    assert_eq!(region.client().await.post("{}").await.status, 200);

    let bucket = region.nats.context().await.get_key_value(subject::SNAPSHOT_BUCKET).await.unwrap();
    bucket.put(subject::SNAPSHOT_KEY, "nonsense".into()).await.unwrap();
    let reported = async || region.report().await.and_then(|report| report.error).unwrap_or_default();
    until("it reports the other error", async || reported().await.starts_with("snapshot:")).await;
    assert_eq!(region.client().await.post("{}").await.status, 200);

    region.configure(region.snapshot(3, r#"{"status": 202}"#)).await;
    until("the good one is served", async || region.client().await.post("{}").await.status == 202).await;
    until("the error is gone", async || reported().await.is_empty()).await;
}

#[tokio::test]
async fn a_source_may_refuse_to_run_on_an_old_configuration() {
    let region = Region::with_source("{}").await;
    let mut old = region.snapshot(2, r#"{"max_config_age_seconds": 60}"#);
    old.created_at_us -= 3_600_000_000;
    region.configure(old.clone()).await;
    until("it is too old", async || region.client().await.post("{}").await.status == 503).await;
    old.created_at_us += 3_600_000_000;
    region.configure(old).await;
    until("it is confirmed", async || region.client().await.post("{}").await.status == 200).await;
}
