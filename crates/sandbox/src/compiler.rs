//! Compiles components in a process of their own, because a stranger's component can take the compiler any
//! time and memory, and may crash it.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use floodgate_event::compile::Limit;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio::task::JoinError;

use crate::code::{self, Code};
use crate::engine::Engine;
use crate::handler::LoadError;

/// The most compilations that run at once. They must leave processors to events.
pub(crate) const AT_ONCE: usize = 2;
/// A compilation that takes longer, on the wall clock, is killed. It limits its own processor time and
/// memory.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How much of the reason is read when the compiler refuses a component, in bytes.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;
/// The exit status of a compiler that refuses a component.
const REFUSED: i32 = 1;

/// Runs the compile command. Its standard input is the component. Its standard output is the machine code, or
/// with exit status 1 the reason why there is none.
#[derive(Debug)]
pub struct Compiler {
    /// A program and its arguments. Empty to compile in this process.
    command: Vec<OsString>,
    permits: Semaphore,
}

impl Compiler {
    /// `command` is a program and its arguments, which does what `floodgate handler compile` does. Without
    /// one, components are compiled in this process, which is for tests.
    pub fn new(command: Vec<OsString>) -> Self {
        Self { command, permits: Semaphore::new(AT_ONCE) }
    }

    /// Compiles a component for `engine`, once fewer than two compilations are under way.
    pub(crate) async fn compile(&self, engine: &Engine, component: Vec<u8>) -> Result<Code, CompileError> {
        engine.inspect(&component).map_err(CompileError::Load)?;
        // The semaphore is never closed.
        let _permit = self.permits.acquire().await;
        match self.command.split_first() {
            Some((program, arguments)) => {
                let child = start(program, arguments)?;
                // A child that has not ended is killed when it is dropped.
                tokio::time::timeout(TIMEOUT, run(child, component)).await.map_err(|_| CompileError::Slow)?
            }
            None => here(engine.clone(), component).await,
        }
    }
}

fn start(program: &OsString, arguments: &[OsString]) -> Result<Child, CompileError> {
    Command::new(program)
        .args(arguments)
        // The gateway's environment may hold secrets, and the compiler needs none of it.
        .env_clear()
        // One thread: the other processors are for events.
        .env("RAYON_NUM_THREADS", "1")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(CompileError::Start)
}

async fn run(mut child: Child, component: Vec<u8>) -> Result<Code, CompileError> {
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A compiler that refuses early closes its input; its answer says why.
            let _ = stdin.write_all(&component).await;
        }
    };
    let ((), answer) = tokio::join!(write, read(stdout));
    let answer = answer.map_err(CompileError::Talk)?;
    if answer.len() > code::MAX_BYTES {
        return Err(CompileError::TooLarge);
    }
    let status = child.wait().await.map_err(CompileError::Talk)?;
    judge(status, answer)
}

fn judge(status: ExitStatus, mut answer: Vec<u8>) -> Result<Code, CompileError> {
    if status.success() && !answer.is_empty() {
        return Ok(Code::of_compiler(answer));
    }
    answer.truncate(MAX_REFUSAL_BYTES);
    match String::from_utf8(answer) {
        Ok(reason) if status.code() == Some(REFUSED) && !reason.is_empty() => {
            Err(CompileError::Refused(reason))
        }
        _ => match status.signal().and_then(Limit::of_signal) {
            Some(limit) => Err(CompileError::Limit(limit)),
            None => Err(CompileError::Ended(status)),
        },
    }
}

/// Reads one byte more than is accepted, so that an answer that is too large is noticed.
async fn read(stdout: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    if let Some(stdout) = stdout {
        stdout.take(code::MAX_BYTES as u64 + 1).read_to_end(&mut answer).await?;
    }
    Ok(answer)
}

async fn here(engine: Engine, component: Vec<u8>) -> Result<Code, CompileError> {
    let compiled = tokio::task::spawn_blocking(move || engine.precompile(&component)).await;
    compiled.map_err(CompileError::Panic)?.map_err(CompileError::Load)
}

/// Why a component was not compiled. Most are the component's fault; see [`Self::is_final`].
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The component is refused before it is compiled, or does not compile.
    #[error("{0}")]
    Load(#[source] LoadError),
    /// The component is refused, in the words of the process that compiles.
    #[error("{0}")]
    Refused(String),
    /// Compiling the component ran into a limit of processor time or memory.
    #[error("{0}")]
    Limit(Limit),
    /// The component crashed the compiler, which ended with this status.
    #[error("compiling it ended without an answer ({0})")]
    Ended(ExitStatus),
    /// Compiling the component took longer than a minute.
    #[error("compiling it took longer than {} s", TIMEOUT.as_secs())]
    Slow,
    /// The component compiles to more machine code than is accepted.
    #[error("it compiles to more than {} bytes", code::MAX_BYTES)]
    TooLarge,
    /// The component made the compiler panic, in this process.
    #[error("the compiler failed: {0}")]
    Panic(#[source] JoinError),
    /// An earlier try failed, and it is not yet time for the next one.
    #[error("{reason}; tried {}, and again after {seconds} s", times(*tries))]
    Later {
        /// How often it was tried.
        tries: u32,
        /// From the last try to the next.
        seconds: u64,
        /// Why the last try failed.
        reason: String,
    },
    /// The gateway is stopping. Not the component's fault.
    #[error("no more handlers are loaded")]
    Stopped,
    /// The process that compiles cannot be started. Not the component's fault.
    #[error("the compiler cannot be started: {0}")]
    Start(#[source] io::Error),
    /// The answer of the process that compiles cannot be read. Not the component's fault.
    #[error("the compiler cannot be followed: {0}")]
    Talk(#[source] io::Error),
}

fn times(tries: u32) -> String {
    if tries == 1 { "once".to_owned() } else { format!("{tries} times") }
}

impl CompileError {
    /// Returns true if the component is at fault, so that trying again at once is of no use.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Start(_) | Self::Talk(_) | Self::Stopped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use floodgate_sandbox_guests::{PASS, component};
    use prometheus::Registry;

    fn engine() -> Engine {
        Engine::new(Limits { instances: 16, ..Limits::default() }, &Registry::new()).unwrap()
    }

    async fn compile(script: &str) -> Result<Code, CompileError> {
        let command = ["/bin/sh", "-c", script].map(OsString::from).to_vec();
        Compiler::new(command).compile(&engine(), component(PASS)).await
    }

    #[tokio::test]
    async fn code_refusals_and_crashes_are_told_apart() {
        let code = compile("/bin/cat >/dev/null; echo code").await.unwrap();
        assert_eq!(code.as_bytes(), b"code\n");
        let refused = compile("echo -n no; exit 1").await;
        assert!(matches!(refused, Err(CompileError::Refused(reason)) if reason == "no"));
        for crash in ["echo code; kill -SEGV $$", "exit 0", "echo code; exit 2"] {
            assert!(matches!(compile(crash).await, Err(CompileError::Ended(_))), "{crash}");
        }
        for (script, expected) in [
            ("echo code; kill -XCPU $$", Limit::Processor),
            ("kill -ABRT $$", Limit::Memory),
            ("kill -9 $$", Limit::Machine),
        ] {
            let ended = compile(script).await;
            assert!(
                matches!(ended, Err(CompileError::Limit(limit)) if limit == expected),
                "{script}: {ended:?}"
            );
        }
        let gone = Compiler::new(vec!["/nowhere/compiler".into()]).compile(&engine(), component(PASS)).await;
        assert!(matches!(gone, Err(CompileError::Start(_))));
    }

    #[tokio::test]
    async fn endless_code_is_cut_off_and_the_compiler_killed() {
        assert!(matches!(compile("exec /bin/cat /dev/zero").await, Err(CompileError::TooLarge)));
    }

    #[tokio::test]
    async fn the_environment_is_not_passed_on() {
        let code = compile("/bin/cat >/dev/null; echo \"<$HOME$PWD>\"; env").await.unwrap();
        let text = String::from_utf8_lossy(code.as_bytes()).into_owned();
        assert!(text.starts_with("</>"), "{text}");
        assert!(!text.contains("CARGO"), "{text}");
    }
}
