//! What one shard keeps on this host's disk: the dedup ledger and the delivery index.

use std::path::Path;
use std::sync::Arc;

use async_nats::jetstream::Context;
use floodgate_clock::Clock;
use floodgate_deliver::{DeliveryIndex, IndexError};
use floodgate_event::ShardId;
use floodgate_replicate::books::ShardBooks;
use floodgate_replicate::dedup::ledger::{Ledger, LedgerError};
use floodgate_replicate::log::ShardLog;
use floodgate_replicate::progress::RegionProgress;

/// The ledger and the delivery index of one shard. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ShardStore {
    pub(crate) shard: ShardId,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) deliveries: Arc<DeliveryIndex>,
    /// How far the shard's feeds are replicated.
    pub(crate) progress: RegionProgress,
}

impl ShardStore {
    /// Opens both in the relay's state folder, or creates them.
    pub(crate) fn open(state_dir: &Path, shard: ShardId, clock: &Clock) -> Result<Self, StoreError> {
        let ledger = Arc::new(Ledger::open(&state_dir.join(format!("ledger-{shard}")))?);
        let deliveries = Arc::new(DeliveryIndex::open(state_dir, shard)?);
        Ok(Self { shard, ledger, deliveries, progress: RegionProgress::new(clock.clone()) })
    }

    /// The shard's log with its ledger.
    pub(crate) fn log(&self, centre: &Context, clock: &Clock) -> ShardLog {
        let (centre, ledger, clock) = (centre.clone(), Arc::clone(&self.ledger), clock.clone());
        ShardLog { centre, shard: self.shard, ledger, clock }
    }

    /// What the books of this shard are folded from.
    pub(crate) fn books(&self) -> ShardBooks {
        let deliveries = Arc::clone(&self.deliveries);
        ShardBooks {
            shard: self.shard,
            ledger: Arc::clone(&self.ledger),
            deliveries: Arc::new(move || deliveries.totals().map_err(|error| error.to_string())),
            progress: self.progress.clone(),
        }
    }
}

/// Why a shard's files cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The ledger cannot be opened.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The delivery index cannot be opened.
    #[error(transparent)]
    Index(#[from] IndexError),
}
