//! A shard's log, and the ledger that follows it: while another process writes the log, and once more up to
//! this process's own fence before it writes.

use std::sync::Arc;

use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use bytes::Bytes;
use floodgate_clock::Clock;
use floodgate_event::proto::log_block::Content;
use floodgate_event::proto::{Fence, LogBlock};
use floodgate_event::{ShardId, format, subject};
use floodgate_stream::append::{Append, AppendError, FencedAppender};
use floodgate_stream::lease::Lease;
use floodgate_stream::reader::{self, StreamReader};
use prost::Message as _;
use ulid::Ulid;

use crate::dedup::ledger::{Ledger, LedgerError};

/// One shard's log, and what this process keeps of it. Cheap to clone.
#[derive(Clone)]
pub struct ShardLog {
    /// The centre's JetStream, where the log is.
    pub centre: Context,
    /// The shard whose log it is.
    pub shard: ShardId,
    /// The ledger on this host's disk, which is a fold of the log.
    pub ledger: Arc<Ledger>,
    /// The relay's clock, which dates the blocks.
    pub clock: Clock,
}

impl ShardLog {
    /// Empties the ledger unless its checkpoint is in the log.
    ///
    /// # Errors
    /// If the ledger's disk fails. An unreachable server is waited for.
    pub async fn check(&self) -> Result<(), LedgerError> {
        let Some(checkpoint) = self.ledger.cut().checkpoint else { return Ok(()) };
        let stream = subject::log_stream(self.shard);
        let digest = reader::digest_at(&self.centre, &stream, checkpoint.sequence).await;
        if digest == Some(checkpoint.hash) {
            return Ok(());
        }
        tracing::error!(
            shard = self.shard.get(),
            sequence = checkpoint.sequence,
            "the ledger does not fit the log and is folded anew"
        );
        self.ledger.wipe()
    }

    /// Folds the log into the ledger for as long as it is polled. Cancel-safe.
    ///
    /// # Errors
    /// If the ledger's disk fails.
    pub async fn follow(&self) -> Result<(), LedgerError> {
        self.fold(u64::MAX).await
    }

    /// Appends a fence in the name of `holder`, and folds the log up to it. After that the ledger knows
    /// everything that any writer before has appended.
    ///
    /// # Errors
    /// If the lease is lost meanwhile, or the ledger's disk fails.
    pub async fn take_over<T>(&self, lease: &Lease, holder: &str) -> Result<FencedAppender<T>, WriteError> {
        tokio::select! {
            () = lease.lost() => return Err(AppendError::Superseded.into()),
            () = self.clock.agreed() => {}
        }
        let appender = self.append_fence(lease, holder).await?;
        let sequence = appender.last_sequence();
        let level = async {
            // The log may have been lost and created again since the last check. The ledger would then belong
            // to another log, and would ignore everything that is appended up to its checkpoint.
            self.check().await?;
            self.fold(sequence).await
        };
        tokio::select! {
            () = lease.lost() => return Err(AppendError::Superseded.into()),
            level = level => level?,
        }
        tracing::info!(shard = self.shard.get(), epoch = lease.epoch(), sequence, "writing the log");
        Ok(appender)
    }

    async fn append_fence<T>(&self, lease: &Lease, holder: &str) -> Result<FencedAppender<T>, AppendError> {
        let last = self.ledger.cut().checkpoint.map_or(0, |checkpoint| checkpoint.appended_at_us);
        let content = Content::Fence(Fence { holder: holder.to_owned() });
        let fence = log_block(lease, self.clock.following(last), content);
        let fence = Append {
            subject: subject::log_fence(self.shard),
            headers: HeaderMap::new(),
            payload: Bytes::from(fence.encode_to_vec()),
        };
        let stream = subject::log_stream(self.shard);
        FencedAppender::open(self.centre.clone(), stream, lease.clone(), fence).await
    }

    async fn fold(&self, through: u64) -> Result<(), LedgerError> {
        let from = self.ledger.cut().checkpoint.map_or(0, |checkpoint| checkpoint.sequence) + 1;
        let (stream, filter) = (subject::log_stream(self.shard), subject::log_wildcard(self.shard));
        let mut reader = StreamReader::new(self.centre.clone(), stream, filter, from);
        let mut folded = from - 1;
        while folded < through {
            let message = reader.next().await;
            match format::decode::<LogBlock>(message.payload.clone()) {
                Ok(block) => self.ledger.apply(message.sequence, &message.payload, &block)?,
                Err(error) => {
                    let (shard, sequence) = (self.shard.get(), message.sequence);
                    tracing::error!(shard, sequence, %error, "a block of the log cannot be decoded and is skipped");
                    self.ledger.skip(message.sequence);
                }
            }
            folded = message.sequence;
        }
        Ok(())
    }
}

/// Makes a block of the log, with its time and the lease that it is written under.
pub(crate) fn log_block(lease: &Lease, appended_at_us: u64, content: Content) -> LogBlock {
    LogBlock {
        version: format::VERSION,
        id: Ulid::generate().to_bytes().to_vec(),
        writer: lease.writer().to_vec(),
        epoch: lease.epoch(),
        appended_at_us,
        content: Some(content),
    }
}

/// Why the log cannot be written any more.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Another writer took over, or a block is too large.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The ledger's disk failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}
