//! Decides when a relay may take a free lease: once its ledger and its delivery index have nearly caught up
//! with the log and the journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_nats::jetstream::Context;
use floodgate_deliver::DeliveryIndex;
use floodgate_event::{ShardId, subject};
use floodgate_replicate::dedup::ledger::Ledger;
use floodgate_stream::lease::Readiness;

/// How many messages of the log or the journal are folded within about a second. A relay that has more to
/// fold leaves the lease to another one, if there is one.
pub const NEARLY_LEVEL: u64 = 1_024;

/// A process that is on standby for one shard. It is ready for the lease once it has little left to fold.
pub struct Standby {
    /// The JetStream of the centre.
    pub centre: Context,
    /// The shard that this process is on standby for.
    pub shard: ShardId,
    /// The fold of the shard's log.
    pub ledger: Arc<Ledger>,
    /// The fold of the shard's journal.
    pub deliveries: Arc<DeliveryIndex>,
    /// True if the log already says that the lease has to wait. Reset once this relay is ready.
    is_logged: AtomicBool,
}

impl Standby {
    /// Makes a standby with these folds, which another task keeps up to date.
    pub fn new(centre: Context, shard: ShardId, ledger: Arc<Ledger>, deliveries: Arc<DeliveryIndex>) -> Self {
        Self { centre, shard, ledger, deliveries, is_logged: AtomicBool::new(false) }
    }

    /// The number of messages that remain to be folded, from the log or from the journal, whichever has more.
    async fn behind(&self) -> Result<u64, async_nats::Error> {
        let log = self.last(subject::log_stream(self.shard)).await?;
        let journal = self.last(subject::journal_stream(self.shard)).await?;
        let folded = self.deliveries.checkpoint()?.map_or(0, |checkpoint| checkpoint.sequence);
        Ok(log.saturating_sub(self.ledger.read_through()).max(journal.saturating_sub(folded)))
    }

    async fn last(&self, stream: String) -> Result<u64, async_nats::Error> {
        Ok(self.centre.get_stream(stream).await?.cached_info().state.last_sequence)
    }
}

impl Readiness for Standby {
    async fn is_ready(&self) -> bool {
        match self.behind().await {
            Ok(..=NEARLY_LEVEL) => {
                self.is_logged.store(false, Ordering::Relaxed);
                true
            }
            Ok(behind) => {
                if !self.is_logged.swap(true, Ordering::Relaxed) {
                    let shard = self.shard;
                    tracing::info!(
                        shard = shard.get(),
                        behind,
                        "the lease is free, and is left alone until this is folded"
                    );
                }
                false
            }
            Err(error) => {
                tracing::debug!(shard = self.shard.get(), %error, "cannot learn how far this relay is behind");
                false
            }
        }
    }
}
