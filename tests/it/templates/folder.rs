//! A handler's folder, and the real command in it.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use floodgate_testkit::{Failure, Result, programs};
use tempfile::TempDir;
use tokio::process::Command;

/// A handler that was begun in a folder of its own, which is removed with it.
pub(super) struct Folder {
    parent: TempDir,
}

/// How the command ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// None if a signal ended it.
    pub(super) status: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Folder {
    /// Begins the handler `trim`.
    pub(super) async fn begin(language: &str, arguments: &[&str]) -> Result<Self> {
        let parent = tempfile::tempdir()?;
        let mut command = Command::new(programs::floodgate()?);
        command.args(["handler", "new", "trim", "--lang", language]).args(arguments);
        Ended::from(command.current_dir(parent.path()).output().await?).success()?;
        Ok(Self { parent })
    }

    /// Where it is.
    pub(super) fn path(&self) -> PathBuf {
        self.parent.path().join("trim")
    }

    /// Puts one text for another in a file that has it.
    pub(super) fn edit(&self, file: &str, from: &str, to: &str) -> Result<()> {
        let path = self.path().join(file);
        let text = fs::read_to_string(&path)?;
        if !text.contains(from) {
            return Err(Failure::new(format!("{file} has no `{from}`")));
        }
        Ok(fs::write(path, text.replacen(from, to, 1))?)
    }

    /// Runs the command in the folder. Rust's dependencies are compiled once for all runs of this test; an
    /// upload would go to a port that nobody can listen on.
    pub(super) async fn floodgate(&self, arguments: &[&str]) -> Result<Ended> {
        let mut command = Command::new(programs::floodgate()?);
        command
            .args(arguments)
            .current_dir(self.path())
            .env("CARGO_TARGET_DIR", programs::root().join("target/templates"))
            .env("FLOODGATE_API", "http://127.0.0.1:0")
            .env("FLOODGATE_TOKEN", "none");
        Ok(command.kill_on_drop(true).output().await?.into())
    }
}

impl Ended {
    /// What it printed, if it did its work.
    pub(super) fn success(self) -> Result<String> {
        match self.status {
            Some(0) => Ok(self.stdout),
            status => Err(Failure::new(format!("exit status {status:?}: {}", self.stderr))),
        }
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { status: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}
