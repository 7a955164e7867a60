//! `make bench-handlers`, its second part: what handlers do to a whole gateway.
//! The first is a benchmark of the library.

mod neighbours;
mod start;

use floodgate_testkit::sign::{self, Signed};
use floodgate_testkit::{Result, Scene, guests};
use reqwest::Method;
use serde_json::{Value, json};

/// What chooses this part.
pub(crate) const ARGUMENT: &str = "handlers";

pub(crate) async fn run() -> Result<()> {
    let decent = guests::build_at("handlers/pass", &[]).await?;
    let hostile = guests::build("hostile").await?;
    Scene::play(async |scene| neighbours::run(scene, &decent, &hostile).await).await?;
    Scene::play(async |scene| start::run(scene, &decent).await).await
}

/// A source with a handler of the same name, which is a version of its own, with a breaker of its own.
/// Answers with what was written; the regions need not serve it yet.
pub(crate) async fn bind(scene: &Scene, name: &str, component: &[u8], params: Value) -> Result<Value> {
    scene.admin.upload(name, named(component, name)).await?.succeeded()?;
    let document = json!({
        "verify": {"scheme": "standard", "secrets": [&scene.secrets.standard]},
        "handlers": [{"name": name, "params": params}],
    });
    scene.admin.request(Method::PUT, &format!("/v1/sources/{name}"), Some(&document)).await?.succeeded()
}

/// A new event of a source.
pub(crate) fn event(source: &str, secret: &str, event_type: &str) -> Result<Signed> {
    let id = format!("msg_{}", sign::new_text_secret());
    sign::standard(source, secret, &id, format!(r#"{{"type":"{event_type}"}}"#))
}

/// The same handler under another digest: a custom section says its name.
fn named(component: &[u8], name: &str) -> Vec<u8> {
    let name = name.as_bytes();
    let mut named = component.to_vec();
    // The section's id and length, and its name's length, each below 128: a byte.
    named.extend([0, name.len() as u8 + 1, name.len() as u8]);
    named.extend(name);
    named
}
