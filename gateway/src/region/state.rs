//! The state that the parts of a running gateway share: the configuration in use, the state of the streams,
//! and whether to stop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use floodgate_ingress::Shedder;
use floodgate_stream::Connection;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::served::Served;
use floodgate_published::{Following, Wanted};

/// Shared by requests, the health check and reports.
pub(super) struct State {
    nats: Connection,
    shutdown: CancellationToken,
    /// Which lanes are shed.
    shedder: Arc<Shedder>,
    served: watch::Sender<Option<Arc<Served>>>,
    /// Why a newer configuration is not in use.
    config_error: watch::Sender<Option<String>>,
    streams: watch::Sender<Streams>,
    /// What is wrong with a stream, with the stream's name.
    stream_fault: watch::Sender<Option<String>>,
    /// Cancelled once handlers can no longer run without seeing each other's data.
    unsafe_handlers: CancellationToken,
    /// How long a stream may be silent: events that are accepted meanwhile may still become durable in time.
    silence_limit: Duration,
}

/// What is known of the lanes' streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Streams {
    /// The streams were not checked yet.
    Unseen,
    /// Every stream has the settings that a 2xx relies on.
    Fit,
    /// The streams were fit, and one does not answer now: its cluster elects a leader, or its server is slow.
    Silent {
        /// When it first failed to answer.
        since: Instant,
    },
    /// A stream is missing, or its acks do not promise durability.
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
    /// `publish_timeout` is how long an event may take to become durable.
    pub(super) fn new(
        nats: Connection,
        shutdown: CancellationToken,
        publish_timeout: Duration,
        shedder: Arc<Shedder>,
    ) -> Self {
        Self {
            nats,
            shedder,
            shutdown,
            served: watch::Sender::new(None),
            config_error: watch::Sender::new(None),
            streams: watch::Sender::new(Streams::Unseen),
            stream_fault: watch::Sender::new(None),
            unsafe_handlers: CancellationToken::new(),
            silence_limit: publish_timeout,
        }
    }

    /// Decides which lanes are shed.
    pub(super) fn shedder(&self) -> &Shedder {
        &self.shedder
    }

    /// Returns the configuration that requests are served by.
    pub(super) fn served(&self) -> Option<Arc<Served>> {
        self.served.borrow().clone()
    }

    /// Returns receivers that change with [`Self::swap`] and [`Self::set_config_error`].
    pub(super) fn changes(&self) -> (watch::Receiver<Option<Arc<Served>>>, watch::Receiver<Option<String>>) {
        (self.served.subscribe(), self.config_error.subscribe())
    }

    pub(super) fn swap(&self, served: Arc<Served>) {
        self.served.send_replace(Some(served));
        self.set_config_error(None);
    }

    /// Returns true if the value changed.
    pub(super) fn set_config_error(&self, error: Option<String>) -> bool {
        replace(&self.config_error, error)
    }

    /// Returns true if the value changed.
    pub(super) fn set_stream_fault(&self, fault: Option<String>) -> bool {
        replace(&self.stream_fault, fault)
    }

    /// Returns what is wrong with a stream, even if it still takes blocks.
    pub(super) fn stream_fault(&self) -> Option<String> {
        self.stream_fault.borrow().clone()
    }

    pub(super) fn config_error(&self) -> Option<String> {
        self.config_error.borrow().clone()
    }

    /// Returns true if the value changed.
    pub(super) fn set_streams(&self, streams: Streams) -> bool {
        self.streams.send_replace(streams) != streams
    }

    pub(super) fn streams(&self) -> Streams {
        *self.streams.borrow()
    }

    pub(super) fn is_draining(&self) -> bool {
        self.shutdown.is_cancelled() || self.runs_no_handlers()
    }

    /// Stops all handlers for good, and then the gateway.
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

    /// Checks that an event may still become durable in time if it arrives now. While a cluster elects a
    /// leader it may. If all gateways refused at once, senders would have none left to wait with.
    pub(super) fn readiness(&self) -> Result<(), NotReady> {
        if self.is_draining() {
            return Err(NotReady::Draining);
        }
        if !self.nats.is_up() {
            return Err(NotReady::Disconnected);
        }
        match self.streams() {
            Streams::Fit => {}
            Streams::Silent { since } if since.elapsed() < self.silence_limit => {}
            Streams::Silent { .. } => return Err(NotReady::Silent),
            Streams::Unseen | Streams::Unfit => return Err(NotReady::Streams),
        }
        if self.shedder.is_exhausted() {
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

/// Returns true if the value changed.
fn replace(sender: &watch::Sender<Option<String>>, value: Option<String>) -> bool {
    sender.send_if_modified(|current| {
        let changed = *current != value;
        *current = value;
        changed
    })
}

impl Following for State {
    fn addresses(&self) -> Vec<Wanted> {
        let served = self.served();
        let sources = served.iter().flat_map(|served| served.sources.values());
        sources.flat_map(|source| source.verifier.publishers()).collect()
    }
}
