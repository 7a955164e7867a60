//! Lines for whoever runs the handler. At most 32 lines and 8 KiB of them are kept per event.
//!
//! In a native test they go to stderr.

use std::fmt::Display;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// Every step.
pub fn trace(message: impl Display) {
    write(Level::Trace, &message.to_string());
}

/// For whoever writes the handler.
pub fn debug(message: impl Display) {
    write(Level::Debug, &message.to_string());
}

/// For whoever runs it.
///
/// ```
/// floodgate_sdk::log::info(format_args!("{} fields", 3));
/// ```
pub fn info(message: impl Display) {
    write(Level::Info, &message.to_string());
}

/// Something is odd.
pub fn warn(message: impl Display) {
    write(Level::Warn, &message.to_string());
}

/// Something is wrong.
pub fn error(message: impl Display) {
    write(Level::Error, &message.to_string());
}

#[cfg(target_arch = "wasm32")]
pub(crate) use crate::glue::write;

#[cfg(not(target_arch = "wasm32"))]
fn write(level: Level, message: &str) {
    eprintln!("{level:?}: {message}");
}
