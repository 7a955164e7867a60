//! A second relay beside the one that `floodgate dev` runs, and relays that are run once
//! with another configuration.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::process::ProcessId;
use crate::{Admin, Deployment, Failure, Result, command, ports, programs};

/// Second relay of the deployment. Ends when dropped.
pub struct SecondRelay {
    child: Child,
    admin: Admin,
}

impl SecondRelay {
    /// Starts one with a state folder and ports of its own, otherwise with the configuration of the first,
    /// and with these variables in its environment.
    ///
    /// # Errors
    /// If its configuration cannot be written, or it cannot be started.
    pub fn start(deployment: &Deployment, environment: &[(&str, &Path)]) -> Result<Self> {
        let listen = free_address()?;
        let config = write(deployment, "relay-2", |config| {
            let admin = config.get_mut("admin").and_then(toml::Value::as_table_mut);
            let admin = admin.ok_or_else(|| Failure::new("the relay's configuration has no [admin]"))?;
            admin.insert("listen".to_owned(), listen.to_string().into());
            Ok(())
        })?;
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(deployment.state_folder().join("log/relay-2.log"))?;
        let child = Command::new(programs::floodgate()?)
            .args(["relay", "--config"])
            .arg(config)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Self { child, admin: Admin::at(format!("http://{listen}"), deployment.ready()?.admin.token)? })
    }

    /// Its process.
    pub fn id(&self) -> ProcessId {
        self.child.id()
    }

    /// Its admin API.
    pub fn admin(&self) -> &Admin {
        &self.admin
    }
}

impl Drop for SecondRelay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a relay with a changed configuration until it ends by itself.
///
/// # Errors
/// If it does not end.
pub async fn run_once(
    deployment: &Deployment,
    name: &str,
    change: impl FnOnce(&mut toml::Table),
) -> Result<command::Said> {
    let config = write(deployment, name, |config| {
        change(config);
        Ok(())
    })?;
    command::floodgate(["relay".as_ref(), "--config".as_ref(), config.as_os_str()]).await
}

/// The first relay's configuration under another name, with ports and a state folder of its own.
fn write(
    deployment: &Deployment,
    name: &str,
    change: impl FnOnce(&mut toml::Table) -> Result<()>,
) -> Result<PathBuf> {
    let scratch = deployment.scratch();
    let mut config: toml::Table = fs::read_to_string(deployment.find("relay.toml")?)?.parse()?;
    config.insert("relay".to_owned(), name.into());
    config.insert("state_dir".to_owned(), scratch.join(name).to_string_lossy().into_owned().into());
    config.insert("metrics_listen".to_owned(), free_address()?.to_string().into());
    change(&mut config)?;
    let path = scratch.join(format!("{name}.toml"));
    fs::write(&path, config.to_string())?;
    Ok(path)
}

fn free_address() -> Result<SocketAddr> {
    let [port] = ports::free()?;
    Ok(SocketAddr::from(([127, 0, 0, 1], port)))
}
