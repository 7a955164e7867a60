//! One server.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use async_nats::jetstream::Context;
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::{LOOK_EVERY, PATIENCE};
use crate::process::{self, ProcessId};
use crate::{Failure, Result, programs};

/// A nats-server, killed when dropped.
#[derive(Debug)]
pub struct Server {
    name: String,
    ports: Ports,
    process: Option<Child>,
    folder: TempDir,
}

/// Where a server listens on the loopback address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    pub(super) client: u16,
    pub(super) monitoring: u16,
}

impl Server {
    pub(super) fn start_new(name: String, ports: Ports, folder: TempDir, config: &Value) -> Result<Self> {
        let mut server = Self { name, ports, process: None, folder };
        fs::write(server.file("nats.conf"), config.to_string())?;
        server.start()?;
        Ok(server)
    }

    /// Starts it again after [`Self::kill`]: with the same name, ports and streams.
    ///
    /// # Errors
    /// If there is no nats-server, which [`Failure::is_missing`] tells, or it cannot be started.
    pub fn start(&mut self) -> Result<()> {
        let program = programs::nats_server();
        let log = fs::File::options().create(true).append(true).open(self.file("nats.log"))?;
        let mut command = Command::new(&program);
        command.arg("--config").arg(self.file("nats.conf"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.process = Some(command.spawn().map_err(|error| match error.kind() {
            ErrorKind::NotFound => Failure::missing("no nats-server: `make setup` gets it"),
            _ => Failure::from(error).during(program.display()),
        })?);
        Ok(())
    }

    /// As `kill -9` does.
    ///
    /// # Errors
    /// If it does not run.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.process.take().ok_or_else(|| Failure::new("it does not run"))?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// If it does not run.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        process::signal(self.id().ok_or_else(|| Failure::new("it does not run"))?, signal)
    }

    /// Waits until JetStream answers, at most two minutes; gives a client. Not for a server with users or
    /// TLS.
    ///
    /// # Errors
    /// If it does not answer in time, or has ended; with the last line of its log.
    pub async fn context(&self) -> Result<Context> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match super::connect(&self.url()).await {
                Ok(context) => return Ok(context),
                Err(error) if !self.is_running() || Instant::now() > deadline => {
                    return Err(error.during(format!("nats-server {}: {}", self.name, self.last_words())));
                }
                Err(_) => sleep(LOOK_EVERY).await,
            }
        }
    }

    /// Its process; `None` after [`Self::kill`].
    pub fn id(&self) -> Option<ProcessId> {
        self.process.as_ref().map(Child::id)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens for clients on the loopback address.
    pub fn port(&self) -> u16 {
        self.ports.client
    }

    /// Where clients connect, as a URL.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.ports.client)
    }

    /// Where it answers monitoring requests, as a URL.
    pub fn monitoring_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.monitoring)
    }

    fn is_running(&self) -> bool {
        self.id().is_some_and(process::is_running)
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.file("nats.log")).unwrap_or_default();
        let mut lines = log.lines().filter(|line| !line.trim().is_empty());
        lines.next_back().unwrap_or("it logged nothing").to_owned()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
