//! Whether a relay or a gateway runs: it would make the streams that a restore is
//! about, or go on writing them.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::kv::{Operation, Store};
use floodgate_event::subject;
use floodgate_stream::lease;
use futures::TryStreamExt as _;
use tokio::time::sleep;

use super::{BackupError, link};

/// Gateways report every 5 s.
const REPORTS: Duration = Duration::from_secs(10);

/// Looks at every shard's lease for as long as a silent holder keeps it.
/// One that is rewritten meanwhile has a holder that lives. A centre without leases has none.
pub(super) async fn no_relay_runs(
    centre: &Context,
    shards: u32,
    length: Duration,
) -> Result<(), BackupError> {
    let Some(bucket) = link::find_bucket(centre, subject::LEASE_BUCKET).await? else { return Ok(()) };
    let mut held = Vec::new();
    for shard in 0..shards {
        held.extend(look(&bucket, shard).await?.map(|(revision, _)| (shard, revision)));
    }
    if held.is_empty() {
        return Ok(());
    }
    sleep(length).await;
    for (shard, before) in held {
        match look(&bucket, shard).await? {
            Some((revision, holder)) if revision != before => return Err(BackupError::RelayRuns(holder)),
            _ => {}
        }
    }
    Ok(())
}

/// Revision and holder of a lease that was not given back.
async fn look(bucket: &Store, shard: u32) -> Result<Option<(u64, String)>, BackupError> {
    let look = |source| BackupError::Look { stream: bucket.stream_name.clone(), source };
    let entry = bucket.entry(subject::lease_key(shard)).await.map_err(|error| look(error.into()))?;
    let Some(entry) = entry.filter(|entry| entry.operation == Operation::Put) else { return Ok(None) };
    let holder = lease::holder(&entry.value).map_err(|error| look(error.into()))?;
    Ok(holder.map(|holder| (entry.revision, holder)))
}

/// Looks at what gateways report of themselves for as long as two reports take.
/// One that comes anew is of a gateway that lives. A region without reports has none.
pub(super) async fn no_gateway_runs(region: &Context) -> Result<(), BackupError> {
    let Some(bucket) = link::find_bucket(region, subject::GATEWAYS_BUCKET).await? else { return Ok(()) };
    let look = |source| BackupError::Look { stream: bucket.stream_name.clone(), source };
    let before = reports(&bucket).await.map_err(look)?;
    sleep(REPORTS).await;
    let mut now = reports(&bucket).await.map_err(look)?.into_iter();
    match now.find(|(gateway, revision)| before.get(gateway) != Some(revision)) {
        Some((gateway, _)) => Err(BackupError::GatewayRuns(gateway)),
        None => Ok(()),
    }
}

/// The revision of each gateway's report.
async fn reports(bucket: &Store) -> Result<HashMap<String, u64>, async_nats::Error> {
    let keys: Vec<_> = bucket.keys().await?.try_collect().await?;
    let mut reports = HashMap::new();
    for key in keys {
        let entry = bucket.entry(&key).await?.filter(|entry| entry.operation == Operation::Put);
        reports.extend(entry.map(|entry| (key, entry.revision)));
    }
    Ok(reports)
}
