//! What the parts of a running gateway know of each other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use floodgate_listen::Budget;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::served::Served;
use crate::nats::Connection;

/// Shared by requests, health and reports.
pub(super) struct State {
    nats: Connection,
    shutdown: CancellationToken,
    /// What requests are counted in.
    memory: Budget,
    served: watch::Sender<Option<Arc<Served>>>,
    /// Why a newer configuration is not served.
    trouble: watch::Sender<Option<String>>,
    streams: watch::Sender<Streams>,
    /// What is wrong with a stream, by its name.
    stream_fault: watch::Sender<Option<String>>,
    /// Set once, if handlers can no longer run without seeing each other's data.
    unsafe_handlers: CancellationToken,
    /// How long streams may be silent: as long as what is accepted meanwhile may
    /// still be made durable in time.
    patience: Duration,
}

/// What is known of the lanes' streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Streams {
    /// Nothing yet.
    Unseen,
    /// All of them stand behind a 2xx.
    Fit,
    /// They were fit, and one does not answer: a cluster chooses a leader for it, or its server is slow.
    Silent {
        /// Since when.
        since: Instant,
    },
    /// One is such that its acks promise nothing, or is not there.
    Unfit,
}

/// Why no event can be made durable now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotReady {
    #[error("draining")]
    Draining,
    #[error("not connected to NATS")]
    Disconnected,
    #[error("streams are missing or unfit")]
    Streams,
    #[error("a stream does not answer: it has no leader, or its server is too slow")]
    Silent,
    #[error("no configuration yet")]
    NoConfiguration,
    #[error("memory used up")]
    Memory,
}

impl State {
    /// `publish_timeout` is how long an event may take onto the disk.
    pub(super) fn new(
        nats: Connection,
        shutdown: CancellationToken,
        publish_timeout: Duration,
        memory: Budget,
    ) -> Self {
        Self {
            nats,
            memory,
            shutdown,
            served: watch::Sender::new(None),
            trouble: watch::Sender::new(None),
            streams: watch::Sender::new(Streams::Unseen),
            stream_fault: watch::Sender::new(None),
            unsafe_handlers: CancellationToken::new(),
            patience: publish_timeout,
        }
    }

    /// The configuration that requests are served by.
    pub(super) fn served(&self) -> Option<Arc<Served>> {
        self.served.borrow().clone()
    }

    /// Tells when [`Self::swap`] or [`Self::set_trouble`] has changed something.
    pub(super) fn changes(&self) -> (watch::Receiver<Option<Arc<Served>>>, watch::Receiver<Option<String>>) {
        (self.served.subscribe(), self.trouble.subscribe())
    }

    pub(super) fn swap(&self, served: Arc<Served>) {
        self.served.send_replace(Some(served));
        self.set_trouble(None);
    }

    /// Returns whether it is news.
    pub(super) fn set_trouble(&self, trouble: Option<String>) -> bool {
        replace(&self.trouble, trouble)
    }

    /// Returns whether it is news.
    pub(super) fn set_stream_fault(&self, fault: Option<String>) -> bool {
        replace(&self.stream_fault, fault)
    }

    /// What is wrong with a stream, also with one that goes on taking blocks.
    pub(super) fn stream_fault(&self) -> Option<String> {
        self.stream_fault.borrow().clone()
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.borrow().clone()
    }

    /// Returns whether it is news.
    pub(super) fn set_streams(&self, streams: Streams) -> bool {
        self.streams.send_replace(streams) != streams
    }

    pub(super) fn streams(&self) -> Streams {
        *self.streams.borrow()
    }

    pub(super) fn is_draining(&self) -> bool {
        self.shutdown.is_cancelled() || self.runs_no_handlers()
    }

    /// No handler runs from now on, and the gateway stops.
    pub(super) fn run_no_handlers(&self) {
        self.unsafe_handlers.cancel();
    }

    pub(super) fn runs_no_handlers(&self) -> bool {
        self.unsafe_handlers.is_cancelled()
    }

    /// Returns when the gateway must stop.
    pub(super) async fn until_stopping(&self) {
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = self.unsafe_handlers.cancelled() => {}
        }
    }

    /// Whether an event that comes now may be made durable in time. While a cluster chooses a leader it may:
    /// gateways that all said no at once would leave senders nobody to wait with.
    pub(super) fn readiness(&self) -> Result<(), NotReady> {
        if self.is_draining() {
            return Err(NotReady::Draining);
        }
        if !self.nats.is_up() {
            return Err(NotReady::Disconnected);
        }
        match self.streams() {
            Streams::Fit => {}
            Streams::Silent { since } if since.elapsed() < self.patience => {}
            Streams::Silent { .. } => return Err(NotReady::Silent),
            Streams::Unseen | Streams::Unfit => return Err(NotReady::Streams),
        }
        if self.memory.is_exhausted() {
            return Err(NotReady::Memory);
        }
        if self.served.borrow().is_none() { Err(NotReady::NoConfiguration) } else { Ok(()) }
    }

    /// Waits until everything that was enqueued is settled.
    pub(super) async fn flush(&self) {
        if let Some(served) = self.served() {
            served.enqueue().flush().await;
        }
    }
}

/// Returns whether it is another value.
fn replace(sender: &watch::Sender<Option<String>>, value: Option<String>) -> bool {
    sender.send_if_modified(|current| {
        let news = *current != value;
        *current = value;
        news
    })
}
