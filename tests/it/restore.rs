//! A centre and a region that come back from a backup.

mod centre;
mod region;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use floodgate_testkit::command::{self, Said};
use floodgate_testkit::load::{Load, Plan};
use floodgate_testkit::{Result, Scene};
use nix::sys::signal::Signal;

/// Until something is as it must be.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs `floodgate backup` or `restore` on the deployment.
async fn run(scene: &Scene, command: &str, arguments: &[&str]) -> Result<Said> {
    let relay = scene.deployment.find("relay.toml")?.to_string_lossy().into_owned();
    let all = [command, "--relay", &relay, "--json"].into_iter().chain(arguments.iter().copied());
    command::floodgate(all).await
}

fn backup_folder(scene: &Scene) -> PathBuf {
    scene.deployment.scratch().join("backup")
}

/// Takes a nats-server's disk away, while it stands still and has no chance to notice; it comes back empty.
async fn lose_disk(scene: &Scene, nats: &str) -> Result<()> {
    scene.deployment.signal(nats, Signal::SIGSTOP)?;
    fs::remove_dir_all(scene.deployment.find(nats)?.join("jetstream"))?;
    scene.deployment.kill(nats).await
}

async fn send(
    scene: &Scene,
    regions: &[&str],
    numbers: std::ops::Range<u64>,
) -> Result<std::collections::BTreeMap<u64, String>> {
    Load::start(&scene.sender, Plan { numbers, ..scene.load(regions) }).complete().await
}
