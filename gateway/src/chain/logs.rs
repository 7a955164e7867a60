//! Lines of handlers on their way to whoever follows them.

use floodgate_sandbox::Level;
use serde::Serialize;
use tokio::sync::mpsc;

/// Lines that wait for the region's NATS; more are left out.
const MAX_WAITING: usize = 1_024;

/// A line, with what it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// The handler.
    pub handler: String,
    /// Its version.
    pub version: u32,
    /// The source that the event came through.
    pub source: String,
    /// The event's id.
    pub event: String,
    /// How much it matters.
    pub level: Level,
    /// What it says; no control characters.
    pub message: String,
}

/// Where chains put lines; never waits.
#[derive(Clone, Debug)]
pub struct LogSender(mpsc::Sender<LogLine>);

impl LogSender {
    /// A sender, and the receiver of its lines.
    pub fn new() -> (Self, mpsc::Receiver<LogLine>) {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        (Self(sender), receiver)
    }

    /// Returns true if there was room for the line.
    pub(crate) fn try_send(&self, line: LogLine) -> bool {
        self.0.try_send(line).is_ok()
    }
}
