//! Certificates and keys are read again while the gateway runs.

use floodgate_event::seal::OpeningKey;

use crate::region::{Region, snapshot, until};
use crate::tls;

async fn refused(region: &Region) -> bool {
    region.metrics().await.contains("floodgate_reloads_total{outcome=\"refused\"}")
}

#[tokio::test]
async fn certificates_and_keys_are_replaced_together_or_not_at_all() {
    let (files, first) = tls::Files::new();
    let region = files.region().await;
    let key_file = region.folder().join("key");
    let first_key = std::fs::read_to_string(&key_file).unwrap();

    // A certificate is there, and its key is not, as in the middle of a copy.
    let second = files.renew();
    let second_key = std::fs::read(files.key()).unwrap();
    std::fs::write(files.key(), "half a key").unwrap();
    let key = OpeningKey::generate();
    std::fs::write(&key_file, key.to_text().expose()).unwrap();
    region.reload.send(()).await.unwrap();
    until("the bad file is told", async || refused(&region).await).await;
    assert!(tls::shows(region.address, &first).await && !tls::shows(region.address, &second).await);

    std::fs::write(files.key(), second_key).unwrap();
    region.reload.send(()).await.unwrap();
    until("the new one is shown", async || tls::shows(region.address, &second).await).await;
    assert!(!tls::shows(region.address, &first).await);

    // What is sealed to the new key opens, and what is sealed to the one before still does.
    let serves = async |revision| region.report().await.is_some_and(|report| report.revision == revision);
    region.configure(snapshot(&key, 2, "{}")).await;
    until("the new key opens", async || serves(2).await).await;
    let first_key = OpeningKey::parse(&floodgate_event::Secret::new(first_key)).unwrap();
    region.configure(snapshot(&first_key, 3, "{}")).await;
    until("the one before still opens", async || serves(3).await).await;
    region.stop().await.unwrap();
}

#[tokio::test]
async fn what_nobody_could_open_is_tried_again_with_a_new_key() {
    let region = Region::with_source("{}").await;
    let key = OpeningKey::generate();
    region.configure(snapshot(&key, 2, "{}")).await;
    until("it cannot be opened", async || {
        region.report().await.is_some_and(|report| !report.refused.is_empty())
    })
    .await;
    std::fs::write(region.folder().join("key"), key.to_text().expose()).unwrap();
    region.reload.send(()).await.unwrap();
    until("it is served", async || {
        region.report().await.is_some_and(|report| report.revision == 2 && report.refused.is_empty())
    })
    .await;
}
