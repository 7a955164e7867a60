//! A writer that was stopped for longer than its lease comes back to find itself replaced.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use floodgate_tests::load::{Load, Plan};
use floodgate_tests::{Failure, Result, Scene, outside, process, programs, wait};
use nix::sys::signal::Signal;

/// The holder is stopped this often, each relay in its turn.
const ROUNDS: usize = 3;
/// A takeover takes the lease's 5 s, and what it takes to get level.
const TAKEOVER_LIMIT: Duration = Duration::from_secs(60);
/// What the old holder has to write with, after it was woken.
const AFTER_WAKING: Duration = Duration::from_secs(3);

/// Second relay of the deployment. Ends when dropped.
struct SecondRelay(Child);

impl SecondRelay {
    /// Starts one with a state folder and ports of its own, otherwise with the configuration of the first.
    fn start(scene: &Scene) -> Result<Self> {
        let config = scene.deployment.scratch().join("relay-2.toml");
        fs::write(
            &config,
            edited(&fs::read_to_string(scene.deployment.find("relay.toml")?)?, scene.deployment.scratch())?,
        )?;
        let log = fs::File::create(scene.deployment.state_folder().join("log/relay-2.log"))?;
        let child = Command::new(programs::floodgate()?)
            .args(["relay", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for SecondRelay {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn edited(config: &str, scratch: &Path) -> Result<String> {
    let mut config: toml::Table = config.parse()?;
    config.insert("relay".to_owned(), "relay-2".into());
    config.insert("state_dir".to_owned(), scratch.join("relay-2").to_string_lossy().into_owned().into());
    config.insert("metrics_listen".to_owned(), free_address()?.to_string().into());
    let admin = config.get_mut("admin").and_then(toml::Value::as_table_mut);
    let admin = admin.ok_or_else(|| Failure::new("the relay's configuration has no [admin]"))?;
    admin.insert("listen".to_owned(), free_address()?.to_string().into());
    Ok(config.to_string())
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_holder_is_replaced_and_its_late_appends_are_refused() -> Result<()> {
    Scene::play(async |scene| {
        let second = SecondRelay::start(scene)?;
        let relays = [("relay-1", scene.deployment.process("relay")?), ("relay-2", second.0.id())];
        wait_holder(scene, "relay-1").await?;
        let plan = Plan { workers: 8, pause: Duration::from_millis(10), ..scene.load(&["eu", "us"]) };
        let load = Load::start(&scene.sender, plan);
        for round in 0..ROUNDS {
            let (_, holder) = relays[round % 2];
            let (heir, _) = relays[(round + 1) % 2];
            wait_delivering(scene).await?;
            process::signal(holder, Signal::SIGSTOP)?;
            wait_holder(scene, heir).await?;
            wait_delivering(scene).await?;
            process::signal(holder, Signal::SIGCONT)?;
            tokio::time::sleep(AFTER_WAKING).await;
        }
        let acknowledged = load.stop().await?;

        scene.balanced_books().await?;
        scene.check_arrived(&acknowledged)?;
        let log = outside::read_log(&scene.deployment).await?;
        log.check()?;
        let holders = log.appends.iter().filter(|append| append.kind == "fence").count();
        assert!(holders > ROUNDS, "each holder fenced the one before it: {holders} fences");
        let most = scene.consumer.counts().into_values().max().unwrap_or_default();
        assert!(most <= 1 + ROUNDS, "an event came {most} times: at most once more for each stopped relay");
        Ok(())
    })
    .await
}

async fn wait_holder(scene: &Scene, relay: &str) -> Result<()> {
    let leases = scene.deployment.centre_nats().await?.get_key_value("floodgate_lease").await?;
    wait::until(format!("{relay} to hold the lease"), TAKEOVER_LIMIT, async || {
        let Some(record) = leases.get("shard.0").await? else {
            return Ok(None);
        };
        let record: serde_json::Value = serde_json::from_slice(&record)?;
        Ok((record["holder"] == relay).then_some(()))
    })
    .await
}

async fn wait_delivering(scene: &Scene) -> Result<()> {
    let before = scene.consumer.counts().len();
    wait::until("further events to be delivered", TAKEOVER_LIMIT, async || {
        Ok((scene.consumer.counts().len() > before).then_some(()))
    })
    .await
}
