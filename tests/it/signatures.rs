//! What is not signed is not stored; what is delivered is signed.

use floodgate_testkit::sign::Signed;
use floodgate_testkit::{Result, Scene, fixtures, outside, sign};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_signature_is_refused_and_nothing_is_stored() -> Result<()> {
    Scene::play(async |scene| {
        for signed in forgeries(scene)? {
            let answer = scene.sender.post("eu", &signed).await?;
            assert_eq!(answer.status, 401, "{signed:?}");
            assert_eq!(answer.id, None);
            assert!(!answer.body.contains("whsec_"), "the answer says nothing of secrets");
        }
        let genuine = scene.sender.post("eu", &scene.standard("msg_1", "{}")?).await?;
        genuine.accepted()?;

        let books = scene.balanced_books().await?;
        assert_eq!(books.events.accepted, 1, "only the genuine one is in the books");
        let stream = outside::read_region(&scene.deployment, "eu", "standard").await?;
        assert_eq!(stream.events.len(), 1, "only the genuine one is in the region's stream");
        assert_eq!(scene.consumer.deliveries().len(), 1);
        Ok(())
    })
    .await
}

/// A changed body, another key, another scheme's headers, and no signature at all.
fn forgeries(scene: &Scene) -> Result<Vec<Signed>> {
    let body = fixtures::STRIPE[0].body;
    let mut unsigned = scene.standard("msg_1", "{}")?;
    unsigned.headers.retain(|(name, _)| *name != "webhook-signature");
    let mut crossed = scene.stripe(body)?;
    crossed.source = "github".to_owned();
    Ok(vec![
        scene.github("push", "1", fixtures::GITHUB[0].body)?.forged(),
        scene.stripe(body)?.forged(),
        scene.standard("msg_1", "{}")?.forged(),
        sign::github("github", &sign::new_text_secret(), "push", "1", body)?,
        sign::stripe("stripe", &sign::new_text_secret(), body)?,
        sign::standard("standard", &sign::new_standard_secret(), "msg_1", "{}")?,
        unsigned,
        crossed,
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_library_verifies_every_delivery() -> Result<()> {
    Scene::play(async |scene| {
        for payload in fixtures::GITHUB {
            scene.sender.post("eu", &scene.github(payload.event, "1", payload.body)?).await?.accepted()?;
        }
        // A body need not be JSON.
        let text = "paid: 5 €, and no JSON";
        scene.sender.post("us", &scene.standard("msg_1", text)?).await?.accepted()?;
        scene.balanced_books().await?;

        let deliveries = scene.consumer.deliveries();
        assert_eq!(deliveries.len(), fixtures::GITHUB.len() + 1);
        let verification = outside::verify(&scene.secrets.destination, &deliveries).await?;
        assert_eq!(verification.refused, [0_usize; 0], "the library accepts each");
        assert_eq!(verification.altered_refused, deliveries.len(), "and none that was altered");
        assert!(fixtures::GITHUB.iter().all(|payload| deliveries.iter().any(|d| d.body == payload.body)));
        Ok(())
    })
    .await
}
