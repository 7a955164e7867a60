//! Checks a component in this process, under limits of time and memory. The relay runs this as a process of
//! its own on each upload: compiling what a stranger wrote can take any time and memory.

use std::io::{self, Read};
use std::time::Duration;

use floodgate_event::causes::chain;
use floodgate_event::source::HandlerLimits;
use floodgate_sandbox::{FaultKind, Handler, Limits};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::restrict::{self, ProcessError, restrict};

/// The longest line of parameters and limits, in bytes: a binding has at most 64 KiB of the former, and a
/// list of bindings at most 1 MiB.
const MAX_LINE_BYTES: usize = 2 * 1024 * 1024;
/// The time in milliseconds that a handler has for its answer if its binding does not say.
const DEFAULT_DEADLINE_MS: u32 = 60;

/// The parameters and limits of a source's binding; the input's first line is one, or a list of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Binding {
    params: Box<RawValue>,
    limits: HandlerLimits,
}

/// The result of a check, in the form that the relay reads.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// True if the component is accepted, with all parameters that were given.
    pub ok: bool,
    /// Why it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The place, from 0, of the refused parameters in their list; none if the component itself is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<usize>,
}

impl Verdict {
    fn refused(error: String, at: Option<usize>) -> Self {
        Self { ok: false, error: Some(error), at }
    }
}

/// Reads a component and checks that a gateway would run it. With `params`, the input's first line is a JSON
/// object with `params` and `limits`, or a list of such objects, and the component is asked whether it takes
/// each of them.
///
/// Limits this process for good.
///
/// # Errors
/// If the limits cannot be set, the engine does not start, or the input or its first line cannot be read. A
/// component that is refused is a [`Verdict`], no error.
pub async fn check(input: impl Read, params: bool) -> Result<Verdict, Error> {
    // What a gateway gives at most is its own business; nobody can ask for more than this.
    let limits = Limits { max_memory_bytes: 1 << 30, max_deadline_ms: 10_000, ..Limits::default() };
    let line_bytes = if params { MAX_LINE_BYTES } else { 0 };
    let mut component = restrict::read(input, limits.component_bytes + line_bytes)?;
    let bindings = if params { bindings(&mut component)? } else { Vec::new() };
    restrict(bindings.iter().map(Binding::deadline).sum())?;
    let engine = restrict::engine(limits)?;
    let handler = match engine.load(&component) {
        Ok(handler) => handler,
        Err(error) => return Ok(Verdict::refused(chain(&error), None)),
    };
    for (at, binding) in bindings.iter().enumerate() {
        if let Some(error) = refusal(&handler, binding).await {
            return Ok(Verdict::refused(error, Some(at)));
        }
    }
    Ok(Verdict { ok: true, error: None, at: None })
}

/// Reads the first line: an object, or a list of objects.
fn bindings(input: &mut Vec<u8>) -> Result<Vec<Binding>, Error> {
    let line = first_line(input).map_err(ProcessError::Read)?;
    let bindings = if line.starts_with('[') {
        serde_json::from_str(&line)
    } else {
        serde_json::from_str(&line).map(|one| vec![one])
    };
    Ok(bindings?)
}

impl Binding {
    fn deadline(&self) -> Duration {
        Duration::from_millis(self.limits.deadline_ms.unwrap_or(DEFAULT_DEADLINE_MS).into())
    }
}

/// Why the component does not take a binding; none if it does.
async fn refusal(handler: &Handler, binding: &Binding) -> Option<String> {
    let bound = match handler.bind(&binding.limits) {
        Ok(bound) => bound,
        Err(limit) => return Some(limit.to_string()),
    };
    let answer = bound.check_params(binding.params.get()).await;
    answer.err().map(|fault| match fault.kind() {
        FaultKind::Error => fault.message().to_owned(),
        _ => fault.to_string(),
    })
}

/// Removes the first line from the input and returns it without its end.
fn first_line(input: &mut Vec<u8>) -> io::Result<String> {
    let Some(end) = input.iter().position(|&byte| byte == b'\n') else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no line of parameters"));
    };
    let mut line: Vec<u8> = input.drain(..=end).collect();
    line.pop();
    String::from_utf8(line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Why a component could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This process cannot check any component, or the input lacks the line of parameters.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The line of parameters is malformed.
    #[error(transparent)]
    Line(#[from] serde_json::Error),
}
