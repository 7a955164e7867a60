//! Checks an uploaded component in a child process: compiling what a stranger wrote can take any time and memory,
//! and may crash the compiler.

use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use floodgate_event::source::HandlerLimits;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::Semaphore;

/// Checks under way at once.
const CHECKS_AT_ONCE: usize = 2;
/// After which a check is killed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(60);
/// The most that is read of a check's answer, in bytes.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// Runs the check command: the component on its standard input, `{"ok": bool, "error": text}` on its standard output.
pub(crate) struct Checker {
    program: String,
    arguments: Vec<String>,
    permits: Semaphore,
}

#[derive(Deserialize)]
struct Answer {
    ok: bool,
    #[serde(default)]
    error: Option<String>,
}

impl Checker {
    /// `command` is a program and its arguments; none means this program's own `handler check`.
    pub(crate) fn new(command: Vec<String>) -> Result<Self, CheckerError> {
        let mut words = command.into_iter();
        let (program, arguments) = match words.next() {
            Some(program) => (program, words.collect()),
            None => (own_program()?, vec!["handler".to_owned(), "check".to_owned()]),
        };
        Ok(Self { program, arguments, permits: Semaphore::new(CHECKS_AT_ONCE) })
    }

    /// Checks a component; waits until fewer than [`CHECKS_AT_ONCE`] are under way.
    pub(crate) async fn check(&self, component: Bytes) -> Result<(), CheckError> {
        self.ask(&[], Bytes::new(), component).await
    }

    /// Checks that a component takes these parameters, within what its binding gives it. They go in as the first line of the input: they are nobody's business
    /// who lists processes.
    pub(crate) async fn check_params(
        &self,
        component: Bytes,
        params: &serde_json::Map<String, serde_json::Value>,
        limits: &HandlerLimits,
    ) -> Result<(), CheckError> {
        let asked = serde_json::json!({"params": params, "limits": limits});
        let mut line = serde_json::to_vec(&asked).map_err(|error| CheckError::Talk(error.into()))?;
        line.push(b'\n');
        self.ask(&["--params"], line.into(), component).await
    }

    async fn ask(&self, flags: &[&str], line: Bytes, component: Bytes) -> Result<(), CheckError> {
        let _permit = self.permits.acquire().await.map_err(|_| CheckError::Closed)?;
        let mut child = self.start(flags)?;
        // A child that is not waited for to its end is killed when it is dropped.
        let run = tokio::time::timeout(CHECK_TIMEOUT, run(&mut child, line, component));
        let (answer, status) = run.await.map_err(|_| CheckError::Slow)??;
        match serde_json::from_slice(&answer) {
            Ok(Answer { ok: true, .. }) if status.success() => Ok(()),
            Ok(Answer { ok: false, error }) => {
                Err(CheckError::Refused(error.unwrap_or_else(|| "the component was refused".to_owned())))
            }
            _ => Err(CheckError::Ended(status)),
        }
    }

    fn start(&self, flags: &[&str]) -> Result<Child, CheckError> {
        Command::new(&self.program)
            .args(&self.arguments)
            .args(flags)
            // The relay's environment may hold secrets, and the check needs none of it.
            .env_clear()
            // One thread: a check must leave processors to what the relay is for.
            .env("RAYON_NUM_THREADS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(CheckError::Start)
    }
}

fn own_program() -> Result<String, CheckerError> {
    let program = std::env::current_exe().map_err(CheckerError::OwnProgram)?;
    program.into_os_string().into_string().map_err(|_| CheckerError::NotText)
}

async fn run(
    child: &mut Child,
    line: Bytes,
    component: Bytes,
) -> Result<(Vec<u8>, std::process::ExitStatus), CheckError> {
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A check that refuses early closes its input; its answer says why.
            if stdin.write_all(&line).await.is_ok() {
                let _ = stdin.write_all(&component).await;
            }
        }
    };
    let ((), answer) = tokio::join!(write, read(stdout));
    Ok((answer.map_err(CheckError::Talk)?, child.wait().await.map_err(CheckError::Talk)?))
}

async fn read(stdout: Option<ChildStdout>) -> std::io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    if let Some(stdout) = stdout {
        stdout.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).await?;
    }
    Ok(answer)
}

/// Why no check can be run at all.
#[derive(Debug, thiserror::Error)]
pub enum CheckerError {
    /// This program does not know where it is.
    #[error("the running program cannot be found: set `check_command`")]
    OwnProgram(#[source] std::io::Error),
    /// Its path is not UTF-8.
    #[error("the running program's path is not UTF-8: set `check_command`")]
    NotText,
}

/// Why a component did not pass.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The component's fault.
    #[error("{0}")]
    Refused(String),
    /// The component's fault: its check ran into its limits, or crashed.
    #[error("the check of the component ended without an answer ({0})")]
    Ended(std::process::ExitStatus),
    /// The component's fault.
    #[error("the check of the component took longer than {} s", CHECK_TIMEOUT.as_secs())]
    Slow,
    /// Ours.
    #[error("the check of the component cannot be started")]
    Start(#[source] std::io::Error),
    /// Ours.
    #[error("the check of the component cannot be followed")]
    Talk(#[source] std::io::Error),
    /// The relay is stopping.
    #[error("no more checks are taken")]
    Closed,
}

impl CheckError {
    /// Whether it is the component's fault, and not that of the check.
    pub(crate) fn is_the_components(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Ended(_) | Self::Slow => true,
            Self::Start(_) | Self::Talk(_) | Self::Closed => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(script: &str) -> Result<(), CheckError> {
        let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        Checker::new(command).unwrap().check(Bytes::from(vec![7; 1 << 20])).await
    }

    #[tokio::test]
    async fn answers_refusals_and_crashes_are_told_apart() {
        check("/bin/cat >/dev/null; echo '{\"ok\":true}'").await.unwrap();
        let refused = check("echo '{\"ok\":false,\"error\":\"no export\"}'").await;
        assert!(matches!(refused, Err(CheckError::Refused(message)) if message == "no export"));
        assert!(matches!(check("echo '{\"ok\":true}'; exit 1").await, Err(CheckError::Ended(_))));
        assert!(matches!(check("kill -9 $$").await, Err(CheckError::Ended(_))));
    }
}
