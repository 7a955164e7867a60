//! Another language's reading of the streams agrees with what the API says of them.

use floodgate_testkit::outside::CentralLog;
use floodgate_testkit::{Result, Scene, fixtures, outside};

#[tokio::test(flavor = "multi_thread")]
async fn the_streams_say_what_the_api_says() -> Result<()> {
    Scene::play(async |scene| {
        for (index, payload) in fixtures::GITHUB.iter().enumerate() {
            let signed = scene.github(payload.event, "1", payload.body)?;
            let regions: &[&str] = if index % 3 == 0 { &["eu", "us"] } else { &["us"] };
            for region in regions {
                scene.sender.post(region, &signed).await?.accepted()?;
            }
        }
        let books = scene.balanced_books().await?;

        let eu = outside::read_region(&scene.deployment, "eu", "standard").await?;
        let us = outside::read_region(&scene.deployment, "us", "standard").await?;
        assert_eq!((eu.undecodable, us.undecodable), (0, 0));
        assert_eq!(books.events.accepted, (eu.events.len() + us.events.len()) as u64);
        let first = &us.events[0];
        assert_eq!((first.source.as_str(), first.event_type.as_str()), ("github", "push"));
        assert_eq!(first.raw_bytes, fixtures::GITHUB[0].body.len(), "the signed bytes are kept whole");

        let log = outside::read_log(&scene.deployment).await?;
        log.check()?;
        assert_eq!(books.events.stored, log.total("stored"));
        assert_eq!(books.events.duplicate, log.total("duplicate"));
        agrees_with_events(scene, &log).await
    })
    .await
}

/// `GET /v1/events/{id}` knows every stored event, and that it was delivered.
async fn agrees_with_events(scene: &Scene, log: &CentralLog) -> Result<()> {
    for id in log.count("stored").into_keys() {
        let event = scene.admin.get(&format!("/v1/events/{id}")).await?;
        assert_eq!(event["id"], id);
        assert_eq!(event["source"], "github");
        assert_eq!(event["deliveries"][0]["destination"], "consumer", "{event}");
        assert_eq!(event["deliveries"][0]["state"], "delivered", "{event}");
        assert_eq!(event["deliveries"][0]["attempts"].as_array().map(Vec::len), Some(1), "{event}");
    }
    let unknown =
        scene.admin.request(reqwest::Method::GET, "/v1/events/evt_00000000000000000000000000", None).await?;
    assert_eq!(unknown.status, 404);
    Ok(())
}
