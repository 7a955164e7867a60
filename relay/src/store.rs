//! What one shard keeps on this host's disk: the dedup ledger and the delivery index.

use std::path::Path;
use std::sync::Arc;

use floodgate_clock::Clock;
use floodgate_deliver::DeliveryIndex;
use floodgate_deliver::index::IndexError;
use floodgate_replicate::books::ShardBooks;
use floodgate_replicate::dedup::ledger::{Ledger, LedgerError};
use floodgate_replicate::progress::Progress;

/// One shard's ledger and delivery index. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ShardStore {
    pub(crate) shard: u32,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) deliveries: Arc<DeliveryIndex>,
    /// How far the shard's feeds are replicated.
    pub(crate) progress: Progress,
}

impl ShardStore {
    /// Opens both in the relay's state folder, or makes them.
    pub(crate) fn open(state_dir: &Path, shard: u32, clock: &Clock) -> Result<Self, StoreError> {
        let ledger = Arc::new(Ledger::open(&state_dir.join(format!("ledger-{shard}")))?);
        let deliveries = Arc::new(DeliveryIndex::open(state_dir, shard)?);
        Ok(Self { shard, ledger, deliveries, progress: Progress::new(clock.clone()) })
    }

    /// What the shard's books are folded from.
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
    /// The ledger's.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The delivery index's.
    #[error(transparent)]
    Index(#[from] IndexError),
}
