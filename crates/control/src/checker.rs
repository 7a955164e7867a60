//! Checks a component in a child process: compiling what a stranger wrote can take any time and memory, and
//! may crash the compiler. The child has limits and no secrets, and is killed when its time is over.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use floodgate_event::compile::Limit;
use floodgate_event::source::HandlerLimits;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::Semaphore;

/// How many checks run at once.
pub(crate) const CHECKS_AT_ONCE: usize = 2;
/// A check is killed after this, and what handlers may take for the questions besides.
const CHECK_TIMEOUT: Duration = Duration::from_secs(60);
/// The sum of the handlers' deadlines for all questions of one check, at most.
const MAX_QUESTIONS_MS: u64 = 60_000;
/// The bytes of parameters in all questions of one check, at most.
const MAX_QUESTIONS_BYTES: usize = 1024 * 1024;
/// The bytes around the parameters in one question, at most.
const FRAME_BYTES: usize = 128;
/// The deadline that is assumed for a binding without one: more than a gateway's default.
const ASSUMED_DEADLINE_MS: u32 = 60;
/// How much of a check's answer is read, in bytes, at most.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// Runs the check command, with the component on its standard input and `{"ok": bool, "error": text}` on its
/// standard output.
pub(crate) struct Checker {
    program: String,
    arguments: Vec<String>,
    permits: Semaphore,
}

/// One question to a component: does it accept what this binding gives it?
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Question<'a> {
    pub(crate) params: &'a serde_json::Map<String, serde_json::Value>,
    pub(crate) limits: &'a HandlerLimits,
}

/// What one question, or several, may take.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    millis: u64,
    bytes: usize,
}

impl Question<'_> {
    pub(crate) fn cost(&self) -> Cost {
        let millis = self.limits.deadline_ms.unwrap_or(ASSUMED_DEADLINE_MS).into();
        // A map of JSON values can always be written.
        let bytes = serde_json::to_vec(self.params).map_or(0, |text| text.len()) + FRAME_BYTES;
        Cost { millis, bytes }
    }
}

impl Cost {
    /// The sum, if one check may be asked both.
    pub(crate) fn and(self, other: Self) -> Option<Self> {
        let both = Self { millis: self.millis + other.millis, bytes: self.bytes + other.bytes };
        (both.millis <= MAX_QUESTIONS_MS && both.bytes <= MAX_QUESTIONS_BYTES).then_some(both)
    }
}

#[derive(Deserialize)]
struct Answer {
    ok: bool,
    #[serde(default)]
    error: Option<String>,
    /// The index of the question that the component refuses.
    #[serde(default)]
    at: usize,
}

impl Checker {
    /// `command` is a program and its arguments. Without any, this program's own `handler check` runs.
    pub(crate) fn new(command: Vec<String>) -> Result<Self, CheckerError> {
        let mut words = command.into_iter();
        let (program, arguments) = match words.next() {
            Some(program) => (program, words.collect()),
            None => (own_program()?, vec!["handler".to_owned(), "check".to_owned()]),
        };
        Ok(Self { program, arguments, permits: Semaphore::new(CHECKS_AT_ONCE) })
    }

    /// Checks a component. Waits until fewer than [`CHECKS_AT_ONCE`] checks run.
    pub(crate) async fn check(&self, component: Bytes) -> Result<(), CheckError> {
        self.ask(&[], Bytes::new(), component, CHECK_TIMEOUT).await.map_err(|(_, error)| error)
    }

    /// Checks that a component accepts what these bindings give it. The error has the index of the binding
    /// that it is about, or 0 if that is not known. The questions are the first line of the input, because
    /// everybody who lists processes can see arguments.
    pub(crate) async fn check_params(
        &self,
        component: Bytes,
        questions: &[Question<'_>],
    ) -> Result<(), (usize, CheckError)> {
        // A check command may know only single questions.
        let line = match questions {
            [one] => serde_json::to_vec(one),
            several => serde_json::to_vec(several),
        };
        let mut line = line.map_err(|error| (0, CheckError::Io(error.into())))?;
        line.push(b'\n');
        let millis = questions.iter().map(|question| question.cost().millis).sum();
        let timeout = CHECK_TIMEOUT + Duration::from_millis(millis);
        self.ask(&["--params"], line.into(), component, timeout).await
    }

    async fn ask(
        &self,
        flags: &[&str],
        line: Bytes,
        component: Bytes,
        timeout: Duration,
    ) -> Result<(), (usize, CheckError)> {
        let (answer, status) =
            self.answer(flags, line, component, timeout).await.map_err(|error| (0, error))?;
        match serde_json::from_slice(&answer) {
            Ok(Answer { ok: true, .. }) if status.success() => Ok(()),
            Ok(Answer { ok: false, error, at }) => Err((
                at,
                CheckError::Refused(error.unwrap_or_else(|| "the component was refused".to_owned())),
            )),
            _ => match status.signal().and_then(Limit::of_signal) {
                Some(limit) => Err((0, CheckError::Limit(limit))),
                None => Err((0, CheckError::Crashed(status))),
            },
        }
    }

    async fn answer(
        &self,
        flags: &[&str],
        line: Bytes,
        component: Bytes,
        timeout: Duration,
    ) -> Result<(Vec<u8>, ExitStatus), CheckError> {
        let _permit = self.permits.acquire().await.map_err(|_| CheckError::ShuttingDown)?;
        let mut child = self.start(flags)?;
        // A child that has not ended is killed when it is dropped.
        let run = tokio::time::timeout(timeout, run(&mut child, line, component));
        run.await.map_err(|_| CheckError::TimedOut(timeout))?
    }

    fn start(&self, flags: &[&str]) -> Result<Child, CheckError> {
        Command::new(&self.program)
            .args(&self.arguments)
            .args(flags)
            // The relay's environment may hold secrets, and the check needs none of them.
            .env_clear()
            // One thread: a check must leave processors to the relay's own work.
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

async fn run(child: &mut Child, line: Bytes, component: Bytes) -> Result<(Vec<u8>, ExitStatus), CheckError> {
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A check that refuses early closes its input. Its answer says why.
            if stdin.write_all(&line).await.is_ok() {
                let _ = stdin.write_all(&component).await;
            }
        }
    };
    let ((), answer) = tokio::join!(write, read(stdout));
    Ok((answer.map_err(CheckError::Io)?, child.wait().await.map_err(CheckError::Io)?))
}

async fn read(stdout: Option<ChildStdout>) -> std::io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    if let Some(stdout) = stdout {
        stdout.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).await?;
    }
    Ok(answer)
}

/// Why no component can be checked at all.
#[derive(Debug, thiserror::Error)]
pub enum CheckerError {
    /// The path of the running program is unknown.
    #[error("the running program cannot be found: set `check_command`")]
    OwnProgram(#[source] std::io::Error),
    /// The path of the running program is not UTF-8.
    #[error("the running program's path is not UTF-8: set `check_command`")]
    NotText,
}

/// Why a component did not pass.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The component's fault: it does not meet the contract, or does not accept its parameters.
    #[error("{0}")]
    Refused(String),
    /// The component's fault: its check ran into a limit.
    #[error("{0}")]
    Limit(Limit),
    /// The component's fault: its check crashed.
    #[error("the check of the component ended without an answer ({0})")]
    Crashed(ExitStatus),
    /// The component's fault: its check took too long.
    #[error("the check of the component took longer than {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The relay's fault: the check command did not start.
    #[error("the check of the component cannot be started")]
    Start(#[source] std::io::Error),
    /// The relay's fault: its pipes to the check broke.
    #[error("the check of the component cannot be followed")]
    Io(#[source] std::io::Error),
    /// The relay is stopping, and starts no more checks.
    #[error("no more checks are taken")]
    ShuttingDown,
}

impl CheckError {
    /// Returns true if the check ended without naming the question that it is about.
    pub(crate) fn has_no_answer(&self) -> bool {
        matches!(self, Self::Limit(_) | Self::Crashed(_) | Self::TimedOut(_))
    }

    /// Returns true if the component is at fault, and false if the check could not be made.
    pub fn is_components_fault(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Limit(_) | Self::Crashed(_) | Self::TimedOut(_) => true,
            Self::Start(_) | Self::Io(_) | Self::ShuttingDown => false,
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
    async fn a_refusal_of_one_of_several_says_which() {
        let script = r#"read line; case $line in
            [*) echo '{"ok":false,"error":"no","at":1}';;
            *) echo '{"ok":true}';;
        esac"#;
        let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        let checker = Checker::new(command).unwrap();
        let (params, limits) = (serde_json::Map::new(), HandlerLimits::default());
        let asked = Question { params: &params, limits: &limits };
        checker.check_params(Bytes::new(), &[asked]).await.unwrap();
        let refused = checker.check_params(Bytes::new(), &[asked; 3]).await;
        assert!(matches!(refused, Err((1, CheckError::Refused(message))) if message == "no"));
    }

    #[tokio::test]
    async fn answers_refusals_and_crashes_are_told_apart() {
        check("/bin/cat >/dev/null; echo '{\"ok\":true}'").await.unwrap();
        let refused = check("echo '{\"ok\":false,\"error\":\"no export\"}'").await;
        assert!(matches!(refused, Err(CheckError::Refused(message)) if message == "no export"));
        assert!(matches!(check("echo '{\"ok\":true}'; exit 1").await, Err(CheckError::Crashed(_))));
        assert!(matches!(check("kill -SEGV $$").await, Err(CheckError::Crashed(_))));
        let busy = check("kill -XCPU $$").await;
        assert!(matches!(busy, Err(CheckError::Limit(Limit::Processor))), "{busy:?}");
        assert!(matches!(check("kill -9 $$").await, Err(CheckError::Limit(Limit::Machine))));
    }
}
