//! What a consumer that asks for the original headers gets: bytes that the provider's signature holds for,
//! and headers as they were sent.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use floodgate_testkit::consumer::Delivery;
use floodgate_testkit::{Result, Scene, sign, wait};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_can_verify_what_the_provider_signed() -> Result<()> {
    Scene::play(async |scene| {
        let document = json!({
            "url": scene.consumer.url(), "subscribe": {}, "secrets": [scene.secrets.destination],
            "original_headers": true,
        });
        scene.admin.put("/v1/destinations/consumer", &document).await?;

        let packed = gzip(br#"{"number": 1, "note": "packed"}"#)?;
        let mut github = scene.github("push", "d-1", packed.clone())?;
        github.headers.push(("content-encoding", "gzip".to_owned()));
        github.headers.push(("user-agent", "GitHub-Hookshot/1".to_owned()));
        let delivery = sent(scene, &github).await?;
        assert_eq!(delivery.body, packed, "the bytes that were signed");
        assert_eq!(delivery.header("content-encoding"), "gzip");
        assert_eq!(delivery.header("user-agent"), "GitHub-Hookshot/1");
        let expected = sign::github("github", &scene.secrets.github, "push", "d-1", delivery.body.clone())?;
        let signature = expected.headers.iter().find(|(name, _)| *name == "x-hub-signature-256");
        assert_eq!(Some(delivery.header("x-hub-signature-256")), signature.map(|(_, value)| value.as_str()));

        let standard = scene.standard("msg_original", r#"{"type":"a"}"#)?;
        let delivery = sent(scene, &standard).await?;
        let original = |name: &str| delivery.header(&format!("floodgate-original-webhook-{name}")).to_owned();
        let tag = sign::standard_tag(
            &scene.secrets.standard,
            &original("id"),
            &original("timestamp"),
            &delivery.body,
        )?;
        assert_eq!((original("id"), original("signature")), ("msg_original".to_owned(), format!("v1,{tag}")));
        assert_ne!(delivery.id, original("id"), "Floodgate's own id stands in the standard place");

        let delivery = sent(scene, &scene.github("ping", "d-2", "")?).await?;
        assert_eq!((delivery.header("content-length"), &*delivery.body), ("0", &b""[..]));
        Ok(())
    })
    .await
}

/// Sends an event; gives what the consumer got of it.
async fn sent(scene: &Scene, event: &sign::Signed) -> Result<Delivery> {
    let answer = scene.sender.post("eu", event).await?;
    let id = answer.accepted()?.to_owned();
    wait::until(format!("{id} at the consumer"), LIMIT, async || {
        Ok(scene.consumer.deliveries().into_iter().find(|delivery| delivery.id == id))
    })
    .await
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}
