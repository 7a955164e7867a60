//! A process of the deployment.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::{tether, trust};

/// A start renames a log that is larger than this many bytes to `NAME.log.old`.
const MAX_LOG_BYTES: u64 = 16 * 1024 * 1024;

/// The stages of a deployment. Parts are started in this order, and stopped in reverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Nats,
    Relay,
    Gateway,
}

impl Stage {
    /// How long a part of this stage may take to end by itself: longer than its own limit on draining.
    const fn stop_timeout(self) -> Duration {
        match self {
            Self::Gateway => Duration::from_secs(45),
            Self::Relay => Duration::from_secs(30),
            Self::Nats => Duration::from_secs(15),
        }
    }
}

/// A process of the deployment, and how to start it.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Its name in the ready file.
    pub(crate) name: String,
    /// The stage in which it is started.
    pub(crate) stage: Stage,
    /// This program, which starts the program of the part.
    pub(crate) floodgate: PathBuf,
    pub(crate) program: PathBuf,
    /// Its arguments, which never contain a secret.
    pub(crate) arguments: Vec<OsString>,
    /// The file of its output.
    pub(crate) log: PathBuf,
}

impl Part {
    /// Renames the log of the last run to `NAME.log.old`, so that each run has its own.
    pub(crate) fn rotate_log(&self) -> io::Result<()> {
        match fs::rename(&self.log, self.log.with_extension("log.old")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Starts the part. It gets a process group of its own, because Ctrl-C goes to all processes of the
    /// terminal's group, and the parts must be stopped in order. It ends with this process, however that
    /// ends.
    pub(crate) fn spawn(&self) -> io::Result<Child> {
        let log = self.open_log()?;
        Command::new(&self.floodgate)
            .args([tether::SUBCOMMAND, "--parent", &std::process::id().to_string(), "--"])
            .arg(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }

    fn open_log(&self) -> io::Result<File> {
        if fs::metadata(&self.log).is_ok_and(|log| log.len() > MAX_LOG_BYTES) {
            self.rotate_log()?;
        }
        trust::append(&self.log).map_err(io::Error::other)
    }

    /// Asks the part to end, and kills it if it does not end in time.
    pub(crate) async fn end(&self, mut child: Child) {
        signal(&child, Signal::SIGTERM);
        // It may have been stopped by SIGSTOP, and could not drain then.
        signal(&child, Signal::SIGCONT);
        if timeout(self.stage.stop_timeout(), child.wait()).await.is_err() {
            tracing::warn!(part = self.name, "did not end in time and is killed");
            // Fails only if the part has ended meanwhile.
            let _ = child.kill().await;
        }
    }

    pub(crate) fn log(&self) -> &Path {
        &self.log
    }
}

/// Sends a signal to a child that was not waited for yet, so its process id is still its own.
fn signal(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(pid) = pid {
        // Fails only if the child has ended meanwhile.
        let _ = kill(Pid::from_raw(pid), signal);
    }
}
