//! Log lines for those who operate the handler. `floodgate handler logs NAME` shows them.
//!
//! Of one event, 32 lines and 8 KiB are kept; a last line says how many more were left out. Control
//! characters are escaped. Without `grants.log`, which is true by default, lines are dropped. In a native
//! test they go to standard error.

use std::fmt::Display;

use crate::host::{Level, write};

/// Writes a line at level `trace`: single steps of the handler.
pub fn trace(message: impl Display) {
    write(Level::Trace, &message.to_string());
}

/// Writes a line at level `debug`: what helps the handler's author find a mistake.
pub fn debug(message: impl Display) {
    write(Level::Debug, &message.to_string());
}

/// Writes a line at level `info`: what is worth knowing about an event.
///
/// ```
/// floodgate_sdk::log::info(format_args!("{} fields", 3));
/// ```
pub fn info(message: impl Display) {
    write(Level::Info, &message.to_string());
}

/// Writes a line at level `warn`: something is unusual, and the handler copes with it.
pub fn warn(message: impl Display) {
    write(Level::Warn, &message.to_string());
}

/// Writes a line at level `error`: something is wrong. If the handler then traps without a panic's message,
/// its last line at this level is the fault's message.
pub fn error(message: impl Display) {
    write(Level::Error, &message.to_string());
}
