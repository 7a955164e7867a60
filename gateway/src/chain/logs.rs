//! The queue of handlers' log lines, which `region` publishes.

use floodgate_sandbox::Level;
use serde::Serialize;
use tokio::sync::mpsc;

/// The most lines that wait to be published. Further lines are dropped.
const MAX_WAITING: usize = 1_024;

/// A line that a handler logged, with the event that it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// The name of the handler.
    pub handler: String,
    /// The version of the handler.
    pub version: u32,
    /// The source that the event came through.
    pub source: String,
    /// The id of the event, as text.
    pub event: String,
    /// The level that the handler gave the line.
    pub level: Level,
    /// The text, in which control characters are escaped.
    pub message: String,
}

/// Where chains put log lines. It never waits: if the queue is full, the line is dropped.
#[derive(Clone, Debug)]
pub struct LogSender(mpsc::Sender<LogLine>);

impl LogSender {
    /// Makes a sender, and the receiver of its lines.
    pub fn new() -> (Self, mpsc::Receiver<LogLine>) {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        (Self(sender), receiver)
    }

    /// Returns true if there was room for the line.
    pub(crate) fn try_send(&self, line: LogLine) -> bool {
        self.0.try_send(line).is_ok()
    }
}
