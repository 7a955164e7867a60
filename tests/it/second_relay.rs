//! A second relay beside the one that `floodgate dev` started.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use floodgate_tests::{Failure, Result, Scene, process, programs, wait};

/// A takeover takes the lease's 5 s, and what it takes to get level.
pub(crate) const TAKEOVER_LIMIT: Duration = Duration::from_secs(60);

/// Second relay of the deployment. Ends when dropped.
pub(crate) struct SecondRelay(Child);

impl SecondRelay {
    /// Starts one with a state folder and ports of its own, otherwise with the configuration of the first, and with these
    /// variables in its environment.
    pub(crate) fn start(scene: &Scene, environment: &[(&str, &Path)]) -> Result<Self> {
        let config = scene.deployment.scratch().join("relay-2.toml");
        fs::write(
            &config,
            edited(&fs::read_to_string(scene.deployment.find("relay.toml")?)?, scene.deployment.scratch())?,
        )?;
        let log = fs::File::create(scene.deployment.state_folder().join("log/relay-2.log"))?;
        let child = Command::new(programs::floodgate()?)
            .args(["relay", "--config"])
            .arg(config)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Self(child))
    }

    pub(crate) fn id(&self) -> process::ProcessId {
        self.0.id()
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

pub(crate) async fn wait_holder(scene: &Scene, relay: &str) -> Result<()> {
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
