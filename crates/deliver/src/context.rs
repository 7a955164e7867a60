//! What the workers and attempts of one shard share during a term.

use std::sync::Arc;

use floodgate_clock::Clock;
use floodgate_event::ShardId;
use floodgate_routes::{Destination, Gone, Routes};
use floodgate_stream::lease::Lease;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::events::CentralLog;
use super::index::DeliveryIndex;
use super::journal::Recorder;
use super::metrics::DeliveryMetrics;

/// A shard whose deliveries this process makes.
pub(super) struct Shard {
    pub(super) index: Arc<DeliveryIndex>,
    pub(super) journal: Recorder,
    pub(super) log: Arc<CentralLog>,
    pub(super) clock: Clock,
    pub(super) lease: Lease,
    /// The shard's number, from 0.
    pub(super) number: ShardId,
    /// The most open deliveries that are kept for a destination while it is held.
    pub(super) max_held: u64,
    pub(super) routes: watch::Receiver<Arc<Routes>>,
    pub(super) disable: mpsc::Sender<Gone>,
    pub(super) metrics: DeliveryMetrics,
    /// No attempt begins after this is cancelled.
    pub(super) stop: CancellationToken,
}

impl Shard {
    /// Returns true while attempts may begin.
    pub(super) fn may_attempt(&self) -> bool {
        !self.stop.is_cancelled() && self.lease.is_held()
    }

    /// Returns true if the settings of a destination have not changed since an attempt began.
    pub(super) fn is_current(&self, attempted: &Destination) -> bool {
        let routes = self.routes.borrow();
        let now = routes.destinations.get(&attempted.name);
        now.is_some_and(|now| now.mod_revision == attempted.mod_revision)
    }
}
