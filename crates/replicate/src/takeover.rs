//! Keeping the ledger level with the log: as a follower while another process writes, and once more, up to
//! this process's own fence, before it writes itself.

use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use bytes::Bytes;
use floodgate_clock::Clock;
use floodgate_event::proto::log_block::Content;
use floodgate_event::proto::{Fence, LogBlock};
use floodgate_event::{format, subject};
use floodgate_stream::append::{Append, AppendError, FencedAppender};
use floodgate_stream::lease::Lease;
use floodgate_stream::reader::{self, StreamReader};
use prost::Message as _;

use super::writer::{WriteError, log_block};
use crate::dedup::ledger::{Ledger, LedgerError};

/// Empties the ledger unless its checkpoint stands in the log.
///
/// # Errors
/// If the ledger's disk fails. An unreachable server is waited for.
pub async fn check(context: &Context, shard: u32, ledger: &Ledger) -> Result<(), LedgerError> {
    let Some(checkpoint) = ledger.cut().checkpoint else { return Ok(()) };
    let digest = reader::digest_at(context, &subject::log_stream(shard), checkpoint.sequence).await;
    if digest == Some(checkpoint.hash) {
        return Ok(());
    }
    tracing::error!(
        shard,
        sequence = checkpoint.sequence,
        "the ledger does not fit the log and is folded anew"
    );
    ledger.wipe()
}

/// Folds the log into the ledger for as long as it is polled. Cancel-safe.
///
/// # Errors
/// If the ledger's disk fails.
pub async fn follow(context: &Context, shard: u32, ledger: &Ledger) -> Result<(), LedgerError> {
    fold(context, shard, ledger, u64::MAX).await
}

/// Puts up a fence and folds the log up to it. After that the ledger knows all that any
/// writer before ever appended.
///
/// # Errors
/// If the lease is lost meanwhile, or the ledger's disk fails.
pub async fn take_over(
    context: &Context,
    shard: u32,
    lease: &Lease,
    holder: &str,
    ledger: &Ledger,
    clock: &Clock,
) -> Result<FencedAppender, WriteError> {
    tokio::select! {
        () = lease.lost() => return Err(AppendError::Superseded.into()),
        () = clock.agreed() => {}
    }
    let last = ledger.cut().checkpoint.map_or(0, |checkpoint| checkpoint.appended_at_us);
    let now = clock.following(last);
    let fence = log_block(lease, now, Content::Fence(Fence { holder: holder.to_owned() }));
    let fence = Append {
        subject: subject::log_fence(shard),
        headers: HeaderMap::new(),
        payload: Bytes::from(fence.encode_to_vec()),
    };
    let appender =
        FencedAppender::open(context.clone(), subject::log_stream(shard), lease.clone(), fence).await?;
    let sequence = appender.last_sequence();
    let level = async {
        // The log may have been lost, and made anew, since it was last looked at: then the ledger is another
        // log's, and would pass over all that is appended up to its checkpoint.
        check(context, shard, ledger).await?;
        fold(context, shard, ledger, sequence).await
    };
    tokio::select! {
        () = lease.lost() => return Err(AppendError::Superseded.into()),
        level = level => level?,
    }
    tracing::info!(shard, epoch = lease.epoch(), sequence, "writing the log");
    Ok(appender)
}

async fn fold(context: &Context, shard: u32, ledger: &Ledger, through: u64) -> Result<(), LedgerError> {
    let from = ledger.cut().checkpoint.map_or(0, |checkpoint| checkpoint.sequence) + 1;
    let (stream, filter) = (subject::log_stream(shard), subject::log_wildcard(shard));
    let mut reader = StreamReader::new(context.clone(), stream, filter, from);
    let mut folded = from - 1;
    while folded < through {
        let message = reader.next().await;
        match format::decode::<LogBlock>(message.payload.clone()) {
            Ok(block) => ledger.apply(message.sequence, &message.payload, &block)?,
            Err(error) => {
                tracing::error!(shard, sequence = message.sequence, %error, "log block passed over");
                ledger.pass_over(message.sequence);
            }
        }
        folded = message.sequence;
    }
    Ok(())
}
