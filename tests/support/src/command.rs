//! The `floodgate` command, run once.

use std::ffi::OsStr;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use crate::{Failure, Result, programs};

/// For one run.
const LIMIT: Duration = Duration::from_secs(120);

/// How it ended and what it said.
#[derive(Debug)]
pub struct Said {
    /// The exit status.
    pub status: Option<i32>,
    /// On standard output.
    pub out: String,
    /// On standard error.
    pub err: String,
}

impl Said {
    /// What it printed as JSON.
    ///
    /// # Errors
    /// If it printed anything else.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.out).map_err(|_| Failure::new(format!("no JSON: {self:?}")))
    }

    /// The same of a run that did its work.
    ///
    /// # Errors
    /// If it did not, with what it said.
    pub fn done(self) -> Result<Self> {
        if self.status == Some(0) { Ok(self) } else { Err(Failure::new(format!("{self:?}"))) }
    }
}

/// Runs it with these arguments, without an API or a token of the environment.
///
/// # Errors
/// If it cannot be run, or does not end in time.
pub async fn floodgate<T: AsRef<OsStr>>(arguments: impl IntoIterator<Item = T>) -> Result<Said> {
    let child = Command::new(programs::floodgate()?)
        .args(arguments)
        .env_remove("FLOODGATE_API")
        .env_remove("FLOODGATE_TOKEN")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await??;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Said { status: output.status.code(), out: text(output.stdout), err: text(output.stderr) })
}
