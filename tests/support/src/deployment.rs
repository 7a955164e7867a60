//! A whole deployment on this machine, as `floodgate dev` starts it:
//! real processes, killed and stopped by their ids.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde::Deserialize;
use tempfile::TempDir;

use crate::failure::Context;
use crate::process::{self, ProcessId};
use crate::{Failure, Result, ports, programs, wait};

/// From the start to the ready file. Generous: tests share the machine with builds.
const START_LIMIT: Duration = Duration::from_secs(60);
/// From a kill to the ready file with the new process.
const RESTART_LIMIT: Duration = Duration::from_secs(60);
/// From SIGTERM to the end of all.
const STOP_LIMIT: Duration = Duration::from_secs(40);
/// Of each log, when a test fails.
const LOG_TAIL_LINES: usize = 40;

/// The ready file.
#[derive(Clone, Debug, Deserialize)]
pub struct Ready {
    /// The admin API.
    pub admin: AdminEndpoint,
    /// Regions by name.
    pub regions: BTreeMap<String, RegionEndpoint>,
    /// The centre.
    pub centre: CentreEndpoint,
    /// Process ids by part: `nats-eu`, `gateway-eu`, `nats-centre`, `relay`, …
    pub processes: BTreeMap<String, ProcessId>,
}

/// Where the admin API is.
#[derive(Clone, Debug, Deserialize)]
pub struct AdminEndpoint {
    /// Base URL.
    pub url: String,
    /// Bearer token.
    pub token: String,
}

/// Where a region is.
#[derive(Clone, Debug, Deserialize)]
pub struct RegionEndpoint {
    /// Base URL of the ingest.
    pub url: String,
    /// Certificate of the authority that signed the gateway's; none with plain HTTP.
    pub ca: Option<PathBuf>,
    /// The region's nats-server.
    pub nats: String,
    /// The gateway's metrics.
    pub metrics: String,
}

/// Where the centre is.
#[derive(Clone, Debug, Deserialize)]
pub struct CentreEndpoint {
    /// The centre's nats-server.
    pub nats: String,
    /// The relay's metrics.
    pub metrics: String,
}

/// A running deployment of the regions `eu` and `us`. Ends when dropped.
pub struct Deployment {
    folder: TempDir,
    dev: Child,
}

impl Deployment {
    /// Starts one with TLS and waits until every part is ready.
    ///
    /// # Errors
    /// If a part does not become ready; the logs' ends go to standard error.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// The same with further arguments of `floodgate dev`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with(more: &[&str]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("floodgate-").tempdir()?;
        let log = File::create(folder.path().join("dev.log"))?;
        let floodgate = programs::floodgate()?;
        // Tethered, so that a test that is killed leaves no deployment behind.
        let dev = Command::new(floodgate)
            .args(["tether", "--parent", &std::process::id().to_string(), "--"])
            .arg(floodgate)
            .args(["dev", "--regions", "eu,us", "--port-base", &ports::deployment_base()?.to_string()])
            .args(more)
            .arg("--dir")
            .arg(folder.path().join("state"))
            .arg("--ready-file")
            .arg(folder.path().join("ready.json"))
            .current_dir(programs::root())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .during("starting `floodgate dev`")?;
        let mut deployment = Self { folder, dev };
        if let Err(failure) = deployment.wait_ready().await {
            deployment.print_logs();
            return Err(failure);
        }
        Ok(deployment)
    }

    async fn wait_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        while self.ready().is_err() {
            if let Some(status) = self.dev.try_wait()? {
                return Err(Failure::new(format!("`floodgate dev` ended while starting: {status}")));
            }
            if Instant::now() > deadline {
                return Err(Failure::new(format!("waited {START_LIMIT:?} in vain for the ready file")));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// The ready file as it stands now.
    ///
    /// # Errors
    /// If it is not there, or is not what the interface says.
    pub fn ready(&self) -> Result<Ready> {
        let path = self.folder.path().join("ready.json");
        let text = fs::read(&path).during("reading the ready file")?;
        serde_json::from_slice(&text).during("decoding the ready file")
    }

    /// Where the deployment keeps its state.
    pub fn state_folder(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// A scratch folder that ends with the deployment.
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// The one file or folder of this name below the state folder.
    ///
    /// # Errors
    /// If there is none.
    pub fn find(&self, name: &str) -> Result<PathBuf> {
        let found = find(&self.state_folder(), name)?;
        found.ok_or_else(|| Failure::new(format!("no {name} below the state folder")))
    }

    /// The id of a part's process.
    ///
    /// # Errors
    /// If there is no such part.
    pub fn process(&self, part: &str) -> Result<ProcessId> {
        let ready = self.ready()?;
        ready
            .processes
            .get(part)
            .copied()
            .ok_or_else(|| Failure::new(format!("no part {part} in the ready file")))
    }

    /// Sends a signal to a part.
    ///
    /// # Errors
    /// If there is no such part.
    pub fn signal(&self, part: &str, signal: Signal) -> Result<()> {
        process::signal(self.process(part)?, signal)
    }

    /// `kill -9`, and waits until `floodgate dev` has started the part again.
    ///
    /// # Errors
    /// If it is not started again.
    pub async fn kill(&self, part: &str) -> Result<()> {
        let before = self.process(part)?;
        process::signal(before, Signal::SIGKILL)?;
        wait::until(format!("a new process of {part}"), RESTART_LIMIT, async || {
            let now = self.process(part)?;
            Ok((now != before && process::is_running(now)).then_some(()))
        })
        .await
    }

    /// A connection to a region's nats-server with an operator's rights.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub async fn region_nats(&self, region: &str) -> Result<async_nats::jetstream::Context> {
        let ready = self.ready()?;
        let region = ready.regions.get(region).ok_or_else(|| Failure::new(format!("no region {region}")))?;
        jetstream(&region.nats).await
    }

    /// A connection to the centre's nats-server with an operator's rights.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub async fn centre_nats(&self) -> Result<async_nats::jetstream::Context> {
        jetstream(&self.ready()?.centre.nats).await
    }

    /// Prints the ends of all logs to standard error.
    pub fn print_logs(&self) {
        let mut logs = vec![self.folder.path().join("dev.log")];
        let folder = fs::read_dir(self.state_folder().join("log"));
        logs.extend(folder.into_iter().flatten().flatten().map(|entry| entry.path()));
        for log in logs.iter().filter(|log| log.extension().is_some_and(|extension| extension == "log")) {
            let text = fs::read(log).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<_> = text.lines().collect();
            eprintln!("---- {} (last lines)", log.display());
            for line in &lines[lines.len().saturating_sub(LOG_TAIL_LINES)..] {
                eprintln!("{line}");
            }
        }
    }

    /// A part that a test stopped could not obey otherwise.
    fn resume_all(&self) -> Vec<ProcessId> {
        let processes: Vec<_> =
            self.ready().map(|ready| ready.processes.into_values().collect()).unwrap_or_default();
        for &id in processes.iter().chain(&[self.dev.id()]) {
            let _ = process::signal(id, Signal::SIGCONT);
        }
        processes
    }

    fn stopped_within(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if matches!(self.dev.try_wait(), Ok(Some(_)) | Err(_)) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_logs();
        }
        let processes = self.resume_all();
        let _ = process::signal(self.dev.id(), Signal::SIGTERM);
        if self.stopped_within(STOP_LIMIT) {
            return;
        }
        eprintln!("`floodgate dev` did not end within {STOP_LIMIT:?} of SIGTERM; ending its processes");
        let _ = self.dev.kill();
        let _ = self.dev.wait();
        for id in processes {
            let _ = process::signal(id, Signal::SIGKILL);
        }
    }
}

async fn jetstream(url: &str) -> Result<async_nats::jetstream::Context> {
    let client = async_nats::connect(url).await.during(format!("connecting to {url}"))?;
    Ok(async_nats::jetstream::new(client))
}

fn find(folder: &Path, name: &str) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|found| found == name) {
            return Ok(Some(path));
        }
        if path.is_dir()
            && let Some(found) = find(&path, name)?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
