//! How soon a gateway serves after its start, with many handlers: from its process's beginning, as the kernel
//! has it, to its first answer that went through one of them.

use std::time::Duration;

use floodgate_testkit::{Failure, Result, Scene, process};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{bind, event};
use crate::cpu;
use crate::times::median;

/// Handlers, each with a source of its own.
const HANDLERS: usize = 100;
/// Starts of each kind; the one in the middle is told.
const STARTS: usize = 5;
/// Between two tries to be served.
const PAUSE: Duration = Duration::from_millis(2);
/// The longest that a start may take.
const LIMIT: Duration = Duration::from_secs(120);

pub(crate) async fn run(scene: &Scene, component: &[u8]) -> Result<()> {
    println!(
        "\nA gateway's start, to its first 2xx; then an event to each source. Medians of {STARTS} starts after SIGKILL.\n"
    );
    println!("| handlers | first 2xx |\n|---|---:|");
    row("none", starts(scene, &["standard".to_owned()], false).await?);
    let sources = configure(scene, component).await?;
    row(&format!("{HANDLERS}, from the cache"), starts(scene, &sources, false).await?);
    row(&format!("{HANDLERS}, compiled anew"), starts(scene, &sources, true).await?);
    Ok(())
}

fn row(name: &str, time: Duration) {
    println!("| {name} | {} ms |", time.as_millis());
}

/// Sources, each with a handler that no other has.
async fn configure(scene: &Scene, component: &[u8]) -> Result<Vec<String>> {
    let sources: Vec<_> = (0..HANDLERS).map(|number| format!("source-{number}")).collect();
    let mut written = Value::Null;
    for source in &sources {
        written = bind(scene, source, component, json!({})).await?;
    }
    scene.admin.wait_served(&written).await?;
    Ok(sources)
}

async fn starts(scene: &Scene, sources: &[String], without_cache: bool) -> Result<Duration> {
    let last = sources.last().ok_or_else(|| Failure::new("no sources"))?;
    let mut times = Vec::new();
    for _ in 0..STARTS {
        if without_cache {
            std::fs::remove_dir_all(scene.deployment.state_folder().join("data/gateway-eu/handlers"))?;
        }
        let before = scene.deployment.process("gateway-eu")?;
        process::signal(before, Signal::SIGKILL)?;
        let served = until_served(scene, last, before);
        times.push(
            timeout(LIMIT, served).await.map_err(|_| Failure::new(format!("not served in {LIMIT:?}")))??,
        );
        for source in sources {
            post(scene, source).await?;
        }
    }
    median(times, Ord::cmp)
}

/// How old the new process is when it has answered.
async fn until_served(scene: &Scene, source: &str, before: process::ProcessId) -> Result<Duration> {
    while post(scene, source).await.is_err() || scene.deployment.process("gateway-eu")? == before {
        sleep(PAUSE).await;
    }
    cpu::age(scene.deployment.process("gateway-eu")?)
}

async fn post(scene: &Scene, source: &str) -> Result<()> {
    let signed = event(source, &scene.secrets.standard, "order.paid")?;
    scene.sender.post("eu", &signed).await?.accepted().map(drop)
}
