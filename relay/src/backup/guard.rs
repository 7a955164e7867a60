//! Whether a relay runs: it would make the streams that a restore is about, or go on writing them.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::kv::{Operation, Store};
use floodgate_event::subject;
use tokio::time::sleep;

use super::BackupError;
use crate::lease;

/// Looks at every shard's lease for as long as a silent holder keeps it. One that is rewritten meanwhile has a holder
/// that lives. A centre without leases has none.
pub(super) async fn no_relay_runs(
    centre: &Context,
    shards: u32,
    length: Duration,
) -> Result<(), BackupError> {
    let Ok(bucket) = centre.get_key_value(subject::LEASE_BUCKET).await else { return Ok(()) };
    let mut held = Vec::new();
    for shard in 0..shards {
        held.extend(look(&bucket, shard).await.map(|(revision, _)| (shard, revision)));
    }
    if held.is_empty() {
        return Ok(());
    }
    sleep(length).await;
    for (shard, before) in held {
        match look(&bucket, shard).await {
            Some((revision, holder)) if revision != before => return Err(BackupError::RelayRuns(holder)),
            _ => {}
        }
    }
    Ok(())
}

/// Revision and holder of a lease that was not given back.
async fn look(bucket: &Store, shard: u32) -> Option<(u64, String)> {
    let entry = bucket.entry(subject::lease_key(shard)).await.ok().flatten()?;
    if entry.operation != Operation::Put {
        return None;
    }
    lease::holder(&entry.value).map(|holder| (entry.revision, holder))
}
