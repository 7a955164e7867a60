//! Handlers that cannot be loaded, and handlers that misbehave.

use std::time::Duration;

use floodgate_testkit::load::{Load, Plan};
use floodgate_testkit::{Result, Scene, guests, sign};
use reqwest::StatusCode;
use serde_json::json;

/// Sends of each misbehaving kind.
const SENDS: usize = 5;
/// What neighbours may send meanwhile.
const NEIGHBOURS: u64 = 200;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_handler_is_refused_at_upload_by_name() -> Result<()> {
    Scene::play(async |scene| {
        refused(scene, "(component)", "handle").await?;
        refused(scene, r#"(component (import "evil:net/sockets" (instance)))"#, "evil:net/sockets").await?;
        refused(scene, "(module)", "component").await?;
        let reply = scene.admin.upload("bad", b"not wasm at all".to_vec()).await?;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{reply:?}");
        let known = scene.admin.request(reqwest::Method::GET, "/v1/handlers/bad", None).await?;
        assert_eq!(known.status, StatusCode::NOT_FOUND, "nothing of them is kept: {known:?}");
        Ok(())
    })
    .await
}

async fn refused(scene: &Scene, text: &str, named: &str) -> Result<()> {
    let reply = scene.admin.upload("bad", wat::parse_str(text)?).await?;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{reply:?}");
    assert!(
        reply.body["detail"].as_str().is_some_and(|detail| detail.contains(named)),
        "names {named}: {reply:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn misbehaving_handlers_are_quarantined_and_neighbours_unharmed() -> Result<()> {
    Scene::play(async |scene| {
        let pushed = scene.admin.upload("hostile", guests::build("hostile").await?).await?;
        assert_eq!(pushed.status, StatusCode::OK, "{pushed:?}");
        let secret = sign::new_text_secret();
        for mode in ["spin", "exhaust", "panic"] {
            bind(scene, mode, "quarantine", &secret).await?;
        }
        bind(scene, "panic-reject", "reject", &secret).await?;
        let gateway = scene.deployment.process("gateway-eu")?;

        let plan = Plan {
            numbers: 0..NEIGHBOURS,
            workers: 4,
            pause: Duration::from_millis(5),
            ..scene.load(&["eu"])
        };
        let neighbours = Load::start(&scene.sender, plan);
        for mode in ["spin", "exhaust", "panic"] {
            for number in 0..SENDS {
                let signed = sign::github(mode, &secret, "push", "1", format!(r#"{{"number":{number}}}"#))?;
                scene.sender.post("eu", &signed).await?.accepted()?;
            }
        }
        let signed = sign::github("panic-reject", &secret, "push", "1", "{}")?;
        let rejected = scene.sender.post("eu", &signed).await?;
        assert!(rejected.status >= 500, "the provider is to try again: {rejected:?}");
        let acknowledged = neighbours.complete().await?;

        let books = scene.balanced_books().await?;
        assert_eq!((books.events.quarantined, books.events.stored), (3 * SENDS as u64, NEIGHBOURS));
        scene.check_arrived(&acknowledged)?;
        assert_eq!(scene.deployment.process("gateway-eu")?, gateway, "the gateway never fell");
        Ok(())
    })
    .await
}

/// A source named after the mode, through the hostile handler.
async fn bind(scene: &Scene, source: &str, on_fault: &str, secret: &str) -> Result<()> {
    let mode = source.split('-').next().unwrap_or(source);
    let document = json!({
        "verify": {"scheme": "github", "secrets": [secret]},
        "handlers": [{"name": "hostile", "on_fault": on_fault, "params": {"mode": mode}}],
    });
    scene.admin.put(&format!("/v1/sources/{source}"), &document).await?;
    Ok(())
}
