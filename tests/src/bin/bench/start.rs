//! How soon a gateway serves after its start, with many handlers: from its process's beginning, as the kernel has it, to its
//! first answer that went through one of them.

use std::time::Duration;

use floodgate_tests::{Failure, Result, Scene, sign};
use nix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use tokio::time::sleep;

/// Handlers, each with a source of its own.
const HANDLERS: usize = 100;
/// Starts of each kind; the one in the middle is told.
const STARTS: usize = 5;
/// Between two tries to be served.
const PAUSE: Duration = Duration::from_millis(2);
/// The longest that a start may take.
const LIMIT: Duration = Duration::from_secs(120);
/// How many of the kernel's ticks a second has, in what it tells of processes: Linux fixes it for user space.
const TICKS_PER_SECOND: f64 = 100.0;

pub(crate) async fn run(scene: &Scene, component: &[u8]) -> Result<()> {
    println!(
        "\nA gateway's start, to its first 2xx; then an event to each source. Medians of {STARTS} starts after SIGKILL.\n"
    );
    println!("| handlers | first 2xx |\n|---|---:|");
    let alone = starts(scene, &["standard".to_owned()], || Ok(())).await?;
    println!("| none | {} ms |", alone.as_millis());
    let secret = &scene.secrets.standard;
    let sources: Vec<_> = (0..HANDLERS).map(|number| format!("source-{number}")).collect();
    let mut written = Value::Null;
    for source in &sources {
        scene.admin.upload(source, named(component, source)).await?;
        let document = json!({
            "verify": {"scheme": "standard", "secrets": [secret]},
            "handlers": [{"name": source, "params": {}}],
        });
        let made = scene
            .admin
            .request(reqwest::Method::PUT, &format!("/v1/sources/{source}"), Some(&document))
            .await?;
        written = made.body;
    }
    scene.admin.wait_served(&written).await?;
    let cached = starts(scene, &sources, || Ok(())).await?;
    println!("| {HANDLERS}, from the cache | {} ms |", cached.as_millis());
    let cache = scene.deployment.state_folder().join("data/gateway-eu/handlers");
    let empty = || Ok(std::fs::remove_dir_all(&cache)?);
    let compiled = starts(scene, &sources, empty).await?;
    println!("| {HANDLERS}, compiled anew | {} ms |", compiled.as_millis());
    Ok(())
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

async fn starts(scene: &Scene, sources: &[String], before: impl Fn() -> Result<()>) -> Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        before()?;
        scene.deployment.kill("gateway-eu").await?;
        let process = scene.deployment.process("gateway-eu")?;
        let last = sources.last().ok_or_else(|| Failure::new("no sources"))?;
        until_served(scene, last).await?;
        times.push(age(process)?);
        for source in sources {
            post(scene, source).await?;
        }
    }
    times.sort();
    Ok(times[STARTS / 2])
}

async fn until_served(scene: &Scene, source: &str) -> Result<()> {
    let served = async {
        while post(scene, source).await.is_err() {
            sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(LIMIT, served)
        .await
        .map_err(|_| Failure::new(format!("not served within {LIMIT:?}")))
}

async fn post(scene: &Scene, source: &str) -> Result<()> {
    let id = format!("msg_{}", sign::new_text_secret());
    let signed = sign::standard(source, &scene.secrets.standard, &id, r#"{"type":"order.paid"}"#)?;
    scene.sender.post("eu", &signed).await?.accepted().map(drop)
}

/// How long ago a process began: proc(5), `starttime`.
fn age(process: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name, in brackets, may hold spaces; 20 fields after it.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let began: f64 =
        fields.split_whitespace().nth(19).ok_or_else(|| Failure::new("no start time"))?.parse()?;
    let now = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME)?);
    Ok(now.saturating_sub(Duration::from_secs_f64(began / TICKS_PER_SECOND)))
}
