//! Delivers stored events to the destinations that subscribed to them.
//!
//! ```text
//! log ─▶ matching ─┐                      ┌─▶ worker ─▶ attempt ─▶ HTTP client ─▶ consumer
//!                  ├─▶ journal ─▶ index ──┤                │
//!                  └───────◀──────────────┴─── outcome ◀───┘
//! ```
//!
//! The input is one shard's log, the routes of this moment and the lease to write the shard's journal. The
//! output is signed HTTP requests, the journal, metrics, and the destinations that answered 410.
//!
//! The journal is what survives a crash. One writer appends to it what was matched and how each attempt
//! ended, and then folds each block into the delivery index on this host's disk. Workers find their
//! deliveries in the index and nowhere else. After a crash, the journal says what remains to be done. At
//! worst, an attempt whose outcome was not recorded is repeated under the same `webhook-id`.

mod attempt;
mod context;
mod discard;
mod events;
mod follow;
mod index;
mod journal;
mod lag;
mod matching;
mod metrics;
mod outcome;
mod send;
mod term;
mod webhook;
mod workers;

use std::sync::Arc;

use async_nats::jetstream::Context;
use floodgate_clock::Clock;
use floodgate_egress::SsrfGuard;
use floodgate_event::ShardId;
use floodgate_routes::{Announce, Gone, Routes};
use floodgate_stream::append::AppendError;
use floodgate_stream::central::StreamRecord;
use floodgate_stream::lease::Lease;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use follow::follow;
pub use index::dead_letters::{DeadLetter, DeadLetters, DeadLettersError};
pub use index::{Backlog, Checkpoint, DeliveryIndex, IndexError};
pub use lag::measure_lag;
pub use metrics::DeliveryMetrics;

use term::Tasks;

/// Delivers the events of one shard, during one term as the writer of its journal.
pub struct Dispatcher<A> {
    /// The JetStream context of the centre.
    pub jetstream: Context,
    /// The shard that is delivered.
    pub shard: ShardId,
    /// The relay's name. It is written into the fence, for people to read.
    pub relay: String,
    /// The right to write the shard's journal. Must outlive `shutdown` by the drain, or attempts that finish
    /// during it cannot be recorded.
    pub lease: Lease,
    /// The destinations of the current revision, replaced whenever they change.
    pub routes: watch::Receiver<Arc<Routes>>,
    /// Announces the revision that events are matched by.
    pub announcer: A,
    /// The relay's time, which decides what is due.
    pub clock: Clock,
    /// The shard's delivery index.
    pub index: Arc<DeliveryIndex>,
    /// What was noted about the shard's log: its identity, and what was lost of earlier ones.
    pub log: StreamRecord,
    /// Takes the destinations that answered 410, to be disabled.
    pub disable: mpsc::Sender<Gone>,
    /// Decides which addresses deliveries may be sent to.
    pub guard: SsrfGuard,
    /// The most open deliveries of this shard that are kept for a destination while it is held.
    pub max_held: u64,
    /// Shared by all shards.
    pub metrics: DeliveryMetrics,
    /// Stops the dispatcher: no attempt begins any more, and those in flight have 10 seconds to finish.
    pub shutdown: CancellationToken,
}

impl<A: Announce> Dispatcher<A> {
    /// Delivers until the lease is lost or `shutdown` is cancelled.
    ///
    /// # Errors
    /// If this host fails: the index's disk, or the TLS set-up. Consumers and NATS are waited for.
    pub async fn run(self) -> Result<(), DispatchError> {
        let (lease, shutdown) = (self.lease.clone(), self.shutdown.clone());
        let journal = tokio::select! {
            () = lease.lost() => return Ok(()),
            () = shutdown.cancelled() => return Ok(()),
            journal = term::take_over(&self) => journal,
        };
        let ended = match journal {
            Ok(journal) => Tasks::start(self, journal)?.run().await,
            Err(error) => Err(error),
        };
        match ended {
            // Another process writes. For this one, that is the same as losing the lease.
            Err(DispatchError::Append(AppendError::Superseded)) => {
                lease.give_up();
                Ok(())
            }
            ended => ended,
        }
    }
}

/// Why delivering a shard ended. Each is a fault of this host and not of a consumer.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// The index cannot be used. Start again: the index is then brought level with the journal, or rebuilt.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Nothing can be appended to the journal.
    #[error("the journal cannot be written")]
    Append(#[from] AppendError),
    /// The TLS client cannot be set up.
    #[error("cannot set up TLS for deliveries")]
    Tls(#[from] rustls::Error),
    /// The HTTP client cannot be set up.
    #[error("cannot set up an HTTP client for deliveries")]
    Client(#[from] reqwest::Error),
    /// A task panicked, which is a bug.
    #[error("a forwarding task broke down")]
    Task(#[from] tokio::task::JoinError),
}
