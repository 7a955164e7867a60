//! Checks an uploaded component in a child process: compiling what a stranger wrote can take any time and
//! memory, and may crash the compiler.

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

/// Checks under way at once.
pub(crate) const CHECKS_AT_ONCE: usize = 2;
/// After which a check is killed, not counting what handlers may take for what they are asked.
const CHECK_TIMEOUT: Duration = Duration::from_secs(60);
/// The most that handlers may take, by their deadlines, for what one check asks them.
const MOST_ASKED_MS: u64 = 60_000;
/// The most that one check asks about, in bytes of parameters.
const MOST_ASKED_BYTES: usize = 1024 * 1024;
/// What stands around the parameters, in bytes, at most.
const FORM_BYTES: usize = 128;
/// The deadline that a check reckons with where a binding says nothing: more than a gateway's default.
const RECKONED_DEADLINE_MS: u32 = 60;
/// The most that is read of a check's answer, in bytes.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// Runs the check command: the component on its standard input,
/// `{"ok": bool, "error": text}` on its standard output.
pub(crate) struct Checker {
    program: String,
    arguments: Vec<String>,
    permits: Semaphore,
}

/// What a component is asked about: what one binding gives it.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Asked<'a> {
    pub params: &'a serde_json::Map<String, serde_json::Value>,
    pub limits: &'a HandlerLimits,
}

/// What asking about a binding, or several, may take.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    millis: u64,
    bytes: usize,
}

impl Asked<'_> {
    pub(crate) fn cost(&self) -> Cost {
        let millis = self.limits.deadline_ms.unwrap_or(RECKONED_DEADLINE_MS).into();
        // A map of JSON values is written without fail.
        let bytes = serde_json::to_vec(self.params).map_or(0, |text| text.len()) + FORM_BYTES;
        Cost { millis, bytes }
    }
}

impl Cost {
    /// Both together, if one check may be asked about both.
    pub(crate) fn and(self, other: Self) -> Option<Self> {
        let both = Self { millis: self.millis + other.millis, bytes: self.bytes + other.bytes };
        (both.millis <= MOST_ASKED_MS && both.bytes <= MOST_ASKED_BYTES).then_some(both)
    }
}

#[derive(Deserialize)]
struct Answer {
    ok: bool,
    #[serde(default)]
    error: Option<String>,
    /// Which of those that it was asked about it refuses.
    #[serde(default)]
    at: usize,
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
        self.ask(&[], Bytes::new(), component, CHECK_TIMEOUT).await.map_err(|(_, error)| error)
    }

    /// Checks that a component takes what these bindings give it; with the error comes which of them
    /// it is about, where that is known. They go in as the first line of the input:
    /// who lists processes must not see them.
    pub(crate) async fn check_params(
        &self,
        component: Bytes,
        asked: &[Asked<'_>],
    ) -> Result<(), (usize, CheckError)> {
        // As a check command that knows of one at a time takes it.
        let line = match asked {
            [one] => serde_json::to_vec(one),
            several => serde_json::to_vec(several),
        };
        let mut line = line.map_err(|error| (0, CheckError::Talk(error.into())))?;
        line.push(b'\n');
        let millis = asked.iter().map(|asked| asked.cost().millis).sum();
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
                None => Err((0, CheckError::Ended(status))),
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
        let _permit = self.permits.acquire().await.map_err(|_| CheckError::Closed)?;
        let mut child = self.start(flags)?;
        // A child that is not waited for to its end is killed when it is dropped.
        let run = tokio::time::timeout(timeout, run(&mut child, line, component));
        run.await.map_err(|_| CheckError::Slow(timeout))?
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

async fn run(child: &mut Child, line: Bytes, component: Bytes) -> Result<(Vec<u8>, ExitStatus), CheckError> {
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
    /// The component's fault: its check ran into a limit.
    #[error("{0}")]
    Limit(Limit),
    /// The component's fault: its check crashed.
    #[error("the check of the component ended without an answer ({0})")]
    Ended(ExitStatus),
    /// The component's fault.
    #[error("the check of the component took longer than {} s", .0.as_secs())]
    Slow(Duration),
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
    /// Whether it ended without saying what it is about.
    pub fn is_without_answer(&self) -> bool {
        matches!(self, Self::Limit(_) | Self::Ended(_) | Self::Slow(_))
    }

    /// Whether it is the component's fault, and not that of the check.
    pub fn is_the_components(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Limit(_) | Self::Ended(_) | Self::Slow(_) => true,
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
    async fn a_refusal_of_one_of_several_says_which() {
        let script = r#"read line; case $line in
            [*) echo '{"ok":false,"error":"no","at":1}';;
            *) echo '{"ok":true}';;
        esac"#;
        let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        let checker = Checker::new(command).unwrap();
        let (params, limits) = (serde_json::Map::new(), HandlerLimits::default());
        let asked = Asked { params: &params, limits: &limits };
        checker.check_params(Bytes::new(), &[asked]).await.unwrap();
        let refused = checker.check_params(Bytes::new(), &[asked; 3]).await;
        assert!(matches!(refused, Err((1, CheckError::Refused(message))) if message == "no"));
    }

    #[tokio::test]
    async fn answers_refusals_and_crashes_are_told_apart() {
        check("/bin/cat >/dev/null; echo '{\"ok\":true}'").await.unwrap();
        let refused = check("echo '{\"ok\":false,\"error\":\"no export\"}'").await;
        assert!(matches!(refused, Err(CheckError::Refused(message)) if message == "no export"));
        assert!(matches!(check("echo '{\"ok\":true}'; exit 1").await, Err(CheckError::Ended(_))));
        assert!(matches!(check("kill -SEGV $$").await, Err(CheckError::Ended(_))));
        let busy = check("kill -XCPU $$").await;
        assert!(matches!(busy, Err(CheckError::Limit(Limit::Processor))), "{busy:?}");
        assert!(matches!(check("kill -9 $$").await, Err(CheckError::Limit(Limit::Machine))));
    }
}
