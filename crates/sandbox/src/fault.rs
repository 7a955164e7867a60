//! The ways in which a handler fails.

use std::fmt;

use wasmtime::{FrameInfo, Trap, WasmBacktrace};

use crate::grant::NotGranted;
use crate::log::printable;

/// The most bytes of a fault's message.
const MAX_MESSAGE_BYTES: usize = 1024;
/// The most frames of a fault's trace.
const MAX_FRAMES: usize = 8;
/// The most bytes of a frame.
const MAX_FRAME_BYTES: usize = 120;

/// How a handler failed on an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The handler panicked or trapped.
    Trap,
    /// The handler took longer than its deadline.
    Deadline,
    /// The handler asked for more memory than its limit.
    Memory,
    /// What the handler returned cannot be used, or is larger than its limit.
    Output,
    /// The handler returned an error.
    Error,
    /// The instance could not be started.
    Load,
    /// The handler used a key or counter that its binding does not grant.
    Grant,
    /// The handler was not run: its breaker is open, because it failed on every event before.
    Breaker,
    /// The time that all handlers of the event share was over.
    Budget,
}

impl FaultKind {
    /// All kinds, in the order of their declaration.
    pub const ALL: [Self; 9] = [
        Self::Trap,
        Self::Deadline,
        Self::Memory,
        Self::Output,
        Self::Error,
        Self::Load,
        Self::Grant,
        Self::Breaker,
        Self::Budget,
    ];

    /// The name used in envelopes and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::Output => "output",
            Self::Error => "error",
            Self::Load => "load",
            Self::Grant => "grant",
            Self::Breaker => "breaker",
            Self::Budget => "budget",
        }
    }
}

impl FaultKind {
    /// Returns true if the handler is at fault, and not the event. An error that a handler returns may be the
    /// event's fault, and other handlers may have used up the event's time.
    #[inline]
    pub fn is_misbehaviour(self) -> bool {
        !matches!(self, Self::Error | Self::Breaker | Self::Budget)
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A handler's failure on one event. Always the handler's fault but for [`FaultKind::Load`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct Fault {
    kind: FaultKind,
    message: String,
    trace: Vec<String>,
}

impl Fault {
    /// Makes a fault. Control characters in the message are escaped, and it is cut to 1 KiB.
    pub fn new(kind: FaultKind, message: &str) -> Self {
        Self { kind, message: printable(message, MAX_MESSAGE_BYTES), trace: Vec::new() }
    }

    /// Makes the fault of a deadline that passed inside a host call.
    pub(crate) fn timed_out() -> Self {
        Self::new(FaultKind::Deadline, "it waited until its time was over")
    }

    /// Makes the fault of a handler whose event had no time left, before or while it ran.
    pub fn event_time() -> Self {
        Self::new(FaultKind::Budget, "the time that all handlers of the event share was over")
    }

    /// Makes the fault of an outcome that cannot be used; `message` says why.
    pub fn output(message: impl AsRef<str>) -> Self {
        Self::new(FaultKind::Output, message.as_ref())
    }

    /// Returns how the handler failed.
    #[inline]
    pub fn kind(&self) -> FaultKind {
        self.kind
    }

    /// Returns what happened, for people: at most 1 KiB, without control characters.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the functions that the handler failed in, innermost first, as far as the module names them: at
    /// most 8, each cut to 120 bytes and without control characters.
    pub fn trace(&self) -> &[String] {
        &self.trace
    }

    /// Returns the functions that the handler failed in, as [`Self::trace`] does.
    pub fn into_trace(self) -> Vec<String> {
        self.trace
    }

    /// Returns how a call into a guest failed. `refused` is true if the guest was refused memory before.
    /// `last_error` is the last error that it logged, which is the message of a panic.
    pub(crate) fn from_call(error: &wasmtime::Error, refused: bool, last_error: Option<&str>) -> Self {
        // What fails after the guest has returned is the conversion of its result.
        Self::of(error, kind_of(error, refused).unwrap_or(FaultKind::Output), last_error)
    }

    /// The same for the start of an instance, which also runs code of the guest.
    pub(crate) fn from_start(error: &wasmtime::Error, refused: bool, last_error: Option<&str>) -> Self {
        Self::of(error, kind_of(error, refused).unwrap_or(FaultKind::Load), last_error)
    }

    fn of(error: &wasmtime::Error, kind: FaultKind, last_error: Option<&str>) -> Self {
        let reason = error.root_cause().to_string();
        let fault = match (kind, last_error) {
            (FaultKind::Trap | FaultKind::Memory, Some(line)) => {
                Self::new(kind, &format!("{line} ({reason})"))
            }
            _ => Self::new(kind, &reason),
        };
        Self { trace: trace(error), ..fault }
    }
}

/// The functions on the guest's stack. A module without a name section only has the names of its exports.
fn trace(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else {
        return Vec::new();
    };
    let names = backtrace.frames().iter().filter_map(FrameInfo::func_name);
    names.take(MAX_FRAMES).map(frame).collect()
}

/// Removes the hash that Rust appends to a mangled name.
fn frame(name: &str) -> String {
    printable(&format!("{:#}", rustc_demangle::demangle(name)), MAX_FRAME_BYTES)
}

/// None if the guest was not running.
fn kind_of(error: &wasmtime::Error, refused: bool) -> Option<FaultKind> {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => Some(FaultKind::Deadline),
        _ if error.is::<NotGranted>() => Some(FaultKind::Grant),
        _ if refused => Some(FaultKind::Memory),
        Some(_) => Some(FaultKind::Trap),
        None => error.is::<WasmBacktrace>().then_some(FaultKind::Trap),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_readable_and_bounded() {
        let mangled = "_ZN7handler5parse17h0123456789abcdefE";
        assert_eq!(frame(mangled), "handler::parse");
        assert_eq!(frame("a\x1b[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(frame(&"x".repeat(1000)).len(), MAX_FRAME_BYTES);
    }
}
