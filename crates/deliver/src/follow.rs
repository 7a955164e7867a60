//! Keeping the index level with a journal that somebody else writes, or wrote.

use std::sync::Arc;

use async_nats::jetstream::Context;
use floodgate_event::proto::JournalBlock;
use floodgate_event::{format, subject};
use floodgate_stream::reader::{self, ReadMessage, StreamReader};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::ForwardError;
use super::index::{DeliveryIndex, JournalMessage};
use super::metrics::ForwardMetrics;

/// Follows a shard's journal until `stop`. What a relay does that does not hold the lease:
/// its API answers are fresh, and it can take over quickly.
///
/// # Errors
/// If the index cannot be read or written. An unreachable server is waited for.
pub async fn follow(
    jetstream: Context,
    shard: u32,
    index: Arc<DeliveryIndex>,
    metrics: ForwardMetrics,
    stop: CancellationToken,
) -> Result<(), ForwardError> {
    let follower = Follower { jetstream, shard, index, metrics };
    match stop.run_until_cancelled(follower.up_to(u64::MAX)).await {
        Some(ended) => ended,
        None => Ok(()),
    }
}

/// Brings an index up to the journal.
pub(super) struct Follower {
    pub(super) jetstream: Context,
    pub(super) shard: u32,
    pub(super) index: Arc<DeliveryIndex>,
    pub(super) metrics: ForwardMetrics,
}

impl Follower {
    /// Folds in the journal up to and with a sequence. Cancel-safe:
    /// a message is folded in whole or not at all.
    pub(super) async fn up_to(&self, sequence: u64) -> Result<(), ForwardError> {
        let mut done = self.verified_checkpoint().await?;
        let (stream, filter) = (subject::journal_stream(self.shard), subject::journal_wildcard(self.shard));
        let mut reader = StreamReader::new(self.jetstream.clone(), stream, filter, done + 1);
        while done < sequence {
            let message = reader.next().await;
            done = message.sequence;
            fold_in(&self.index, self.decode(message)).await?;
        }
        Ok(())
    }

    /// Where the index stands, or 0 after wiping it because the journal does not hold what it was made from.
    async fn verified_checkpoint(&self) -> Result<u64, ForwardError> {
        if let Some(checkpoint) = self.index.checkpoint()? {
            let journal = subject::journal_stream(self.shard);
            let digest = reader::digest_at(&self.jetstream, &journal, checkpoint.sequence).await;
            if digest.is_some_and(|digest| *digest.as_bytes() == checkpoint.digest) {
                return Ok(checkpoint.sequence);
            }
            let sequence = checkpoint.sequence;
            tracing::warn!(
                shard = self.shard,
                sequence,
                "the delivery index is not of this journal: rebuilding it"
            );
        }
        let index = Arc::clone(&self.index);
        tokio::task::spawn_blocking(move || index.wipe()).await??;
        Ok(0)
    }

    /// A block that cannot be decoded counts as one without records, loudly:
    /// stopping at it would stop all deliveries.
    fn decode(&self, message: ReadMessage) -> JournalMessage {
        let ReadMessage { sequence, payload, .. } = message;
        let digest = Sha256::digest(&payload).into();
        let records = match format::decode::<JournalBlock>(payload) {
            Ok(block) => block.records,
            Err(error) => {
                let stream = subject::journal_stream(self.shard);
                tracing::error!(stream, sequence, %error, "a journal block cannot be decoded and is passed over");
                self.metrics.undecodable.with_label_values(&[&stream]).inc();
                Vec::new()
            }
        };
        JournalMessage { sequence, digest, records }
    }
}

/// Folds in a message, off the runtime's threads.
pub(super) async fn fold_in(index: &Arc<DeliveryIndex>, message: JournalMessage) -> Result<(), ForwardError> {
    let index = Arc::clone(index);
    tokio::task::spawn_blocking(move || index.apply(&message)).await??;
    Ok(())
}
