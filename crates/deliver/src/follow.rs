//! Keeps the delivery index level with a journal that another process writes, or wrote.
//!
//! The index says how far it got, and by the digest of that message which journal it was made from. An index
//! that does not fit the journal is emptied and built again from the first message.

use std::sync::Arc;

use async_nats::jetstream::Context;
use floodgate_event::proto::JournalBlock;
use floodgate_event::{ShardId, format, subject};
use floodgate_stream::reader::{self, ReadMessage, StreamReader};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::DispatchError;
use super::index::{DeliveryIndex, JournalMessage};
use super::metrics::DeliveryMetrics;

/// Follows a shard's journal until `stop` is cancelled. A relay that does not hold the lease does this, so
/// that its API answers are current and it can take over quickly.
///
/// # Errors
/// If the index cannot be read or written. An unreachable server is waited for.
pub async fn follow(
    jetstream: Context,
    shard: ShardId,
    index: Arc<DeliveryIndex>,
    metrics: DeliveryMetrics,
    stop: CancellationToken,
) -> Result<(), DispatchError> {
    let reader = JournalReader { jetstream, shard, index, metrics };
    match stop.run_until_cancelled(reader.catch_up_to(u64::MAX)).await {
        Some(ended) => ended,
        None => Ok(()),
    }
}

/// Reads a shard's journal into its index.
pub(super) struct JournalReader {
    pub(super) jetstream: Context,
    pub(super) shard: ShardId,
    pub(super) index: Arc<DeliveryIndex>,
    pub(super) metrics: DeliveryMetrics,
}

impl JournalReader {
    /// Folds the journal up to and including this sequence. Cancel-safe: a message is folded completely or
    /// not at all.
    pub(super) async fn catch_up_to(&self, sequence: u64) -> Result<(), DispatchError> {
        let mut done = self.verified_checkpoint().await?;
        let (stream, filter) = (subject::journal_stream(self.shard), subject::journal_wildcard(self.shard));
        let mut reader = StreamReader::new(self.jetstream.clone(), stream, filter, done + 1);
        while done < sequence {
            let message = reader.next().await;
            done = message.sequence;
            fold(&self.index, self.decode(message)).await?;
        }
        Ok(())
    }

    /// Returns the sequence that the index was folded up to. If the journal does not hold that message, this
    /// wipes the index and returns 0.
    async fn verified_checkpoint(&self) -> Result<u64, DispatchError> {
        if let Some(checkpoint) = self.index.checkpoint()? {
            let journal = subject::journal_stream(self.shard);
            let digest = reader::digest_at(&self.jetstream, &journal, checkpoint.sequence).await;
            if digest.is_some_and(|digest| *digest.as_bytes() == checkpoint.digest) {
                return Ok(checkpoint.sequence);
            }
            let sequence = checkpoint.sequence;
            tracing::warn!(
                shard = self.shard.get(),
                sequence,
                "the delivery index is not of this journal: rebuilding it"
            );
        }
        let index = Arc::clone(&self.index);
        tokio::task::spawn_blocking(move || index.wipe()).await??;
        Ok(0)
    }

    /// Decodes a block. One that cannot be decoded is logged, counted and taken for a block without records,
    /// because stopping there would stop all deliveries.
    fn decode(&self, message: ReadMessage) -> JournalMessage {
        let ReadMessage { sequence, payload, .. } = message;
        let digest = Sha256::digest(&payload).into();
        let records = match format::decode::<JournalBlock>(payload) {
            Ok(block) => block.records,
            Err(error) => {
                let stream = subject::journal_stream(self.shard);
                tracing::error!(stream, sequence, %error, "a journal block cannot be decoded and is skipped");
                self.metrics.undecodable.with_label_values(&[&stream]).inc();
                Vec::new()
            }
        };
        JournalMessage { sequence, digest, records }
    }
}

/// Folds a message into the index, on a thread that may block.
pub(super) async fn fold(index: &Arc<DeliveryIndex>, message: JournalMessage) -> Result<(), DispatchError> {
    let index = Arc::clone(index);
    tokio::task::spawn_blocking(move || index.apply(&message)).await??;
    Ok(())
}
