//! Whether this process could take over a shard soon: its ledger and its delivery index are nearly level
//! with what they are folds of.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_nats::jetstream::Context;
use floodgate_deliver::DeliveryIndex;
use floodgate_event::subject;
use floodgate_replicate::dedup::ledger::Ledger;
use floodgate_stream::lease::Readiness;

/// Messages of the log or of the journal that are folded within about a second.
/// Whoever has more to fold leaves the lease to another relay, if there is one.
pub const NEARLY_LEVEL: u64 = 1_024;

/// How far this process is behind.
pub struct Warmth {
    /// The centre.
    pub centre: Context,
    /// Which shard.
    pub shard: u32,
    /// A fold of the log.
    pub ledger: Arc<Ledger>,
    /// A fold of the journal.
    pub deliveries: Arc<DeliveryIndex>,
    /// Whether it was told that the lease has to wait.
    is_told: AtomicBool,
}

impl Warmth {
    /// Of these.
    pub fn new(centre: Context, shard: u32, ledger: Arc<Ledger>, deliveries: Arc<DeliveryIndex>) -> Self {
        Self { centre, shard, ledger, deliveries, is_told: AtomicBool::new(false) }
    }

    /// Messages that remain to be folded: of the log or of the journal, whichever has more.
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

impl Readiness for Warmth {
    async fn is_ready(&self) -> bool {
        match self.behind().await {
            Ok(..=NEARLY_LEVEL) => {
                self.is_told.store(false, Ordering::Relaxed);
                true
            }
            Ok(behind) => {
                if !self.is_told.swap(true, Ordering::Relaxed) {
                    let shard = self.shard;
                    tracing::info!(
                        shard,
                        behind,
                        "the lease is free, and is left alone until this is folded"
                    );
                }
                false
            }
            Err(error) => {
                tracing::debug!(shard = self.shard, %error, "cannot learn how far this relay is behind");
                false
            }
        }
    }
}
