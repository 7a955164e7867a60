//! What the gateway makes of the region's snapshots.

use floodgate_event::Digest256;
use floodgate_event::grant::Grants;
use floodgate_event::seal::OpeningKey;
use floodgate_event::snapshot::{Binding, Source};
use floodgate_event::source::{HandlerLimits, OnFault};
use floodgate_event::subject;

use crate::region::{Region, snapshot, until};

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

/// Binds a handler in a way that this gateway refuses.
fn bind_too_much(source: &mut Source) {
    source.handlers.push(Binding {
        name: "h".parse().unwrap(),
        version: 1,
        digest: Digest256::of(b"h"),
        on_fault: OnFault::Quarantine,
        params: serde_json::Map::new(),
        grants: Grants::default(),
        limits: HandlerLimits { deadline_ms: Some(5_000), ..HandlerLimits::default() },
        trial: None,
    });
}

#[tokio::test]
async fn a_source_that_it_cannot_serve_keeps_back_no_other() {
    let region = Region::with_source("{}").await;
    let mut next = region.snapshot(2, r#"{"status": 202}"#);
    bind_too_much(next.sources.get_mut("github").unwrap());
    next.sources.insert("other".parse().unwrap(), region.source("other"));
    region.configure(next.clone()).await;
    until("the other source is served", async || {
        region.client().await.post_to("other", "{}").await.status == 200
    })
    .await;
    let report = region.report().await.unwrap();
    assert_eq!((report.revision, report.error), (2, None));
    assert_eq!(report.refused.len(), 1);
    assert_eq!((report.refused[0].source.as_str(), report.refused[0].as_before), ("github", true));
    assert_eq!(report.maxima.unwrap().deadline_ms, 1_000);
    // Its handlers are those from before, none, behind the intake of now.
    assert_eq!(region.client().await.post("{}").await.status, 202);

    // One that was never served gets 503, and not 404: it is there, and its senders are to try again.
    let mut new = region.source("new");
    bind_too_much(&mut new);
    next.sources.insert("new".parse().unwrap(), new);
    next.revision = 3;
    region.configure(next).await;
    until("revision 3 is served", async || region.report().await.is_some_and(|report| report.revision == 3))
        .await;
    assert_eq!(region.client().await.post_to("new", "{}").await.status, 503);
    assert_eq!(region.client().await.post_to("unknown", "{}").await.status, 404);
    assert_eq!(region.client().await.post_to("other", "{}").await.status, 200);
}

#[tokio::test]
async fn a_secret_that_was_taken_out_is_not_let_in_by_a_source_that_cannot_be_served() {
    let region = Region::with_source("{}").await;
    let foreign = |revision, id: &str| {
        // Sealed to a key that this gateway does not have.
        let mut next = snapshot(&OpeningKey::generate(), revision, "{}");
        next.sources.get_mut("github").unwrap().secrets[0].id = id.to_owned();
        next
    };
    region.configure(foreign(2, "sec_1")).await;
    until("it is refused", async || region.report().await.is_some_and(|report| report.refused.len() == 1))
        .await;
    assert_eq!(region.client().await.post("{}").await.status, 200, "the same secret goes on");

    region.configure(foreign(3, "sec_2")).await;
    until("revision 3 is served", async || region.report().await.is_some_and(|report| report.revision == 3))
        .await;
    assert_eq!(region.client().await.post("{}").await.status, 503, "the secret of before was taken out");
}
