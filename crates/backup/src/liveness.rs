//! Checks that no relay or gateway runs: during a restore it would create the streams that are restored, or
//! continue to write them.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::kv::{Operation, Store};
use floodgate_event::{ShardCount, ShardId, subject};
use floodgate_stream::lease;
use futures::TryStreamExt as _;
use tokio::time::sleep;

use super::{Error, connection};

/// How long gateways are watched. They report every 5 s.
const REPORTS: Duration = Duration::from_secs(10);

/// Watches every shard's lease for its length. A lease that is renewed meanwhile has a holder that runs. A
/// centre without leases has no relay.
pub(super) async fn check_no_relay_runs(
    centre: &Context,
    shards: ShardCount,
    length: Duration,
) -> Result<(), Error> {
    let Some(bucket) = connection::find_bucket(centre, subject::LEASE_BUCKET).await? else { return Ok(()) };
    let mut held = Vec::new();
    for shard in shards.ids() {
        held.extend(look(&bucket, shard).await?.map(|(revision, _)| (shard, revision)));
    }
    if held.is_empty() {
        return Ok(());
    }
    sleep(length).await;
    for (shard, before) in held {
        match look(&bucket, shard).await? {
            Some((revision, holder)) if revision != before => return Err(Error::RelayRuns(holder)),
            _ => {}
        }
    }
    Ok(())
}

/// The revision and the holder of a lease. `None` if it was given back.
async fn look(bucket: &Store, shard: ShardId) -> Result<Option<(u64, String)>, Error> {
    let look = |source| Error::Stream { stream: bucket.stream_name.clone(), source };
    let entry = bucket.entry(subject::lease_key(shard)).await.map_err(|error| look(error.into()))?;
    let Some(entry) = entry.filter(|entry| entry.operation == Operation::Put) else { return Ok(None) };
    let holder = lease::holder(&entry.value).map_err(|error| look(error.into()))?;
    Ok(holder.map(|holder| (entry.revision, holder)))
}

/// Watches the gateways' reports for as long as two reports take. A report that is renewed meanwhile comes
/// from a gateway that runs. A region without reports has none.
pub(super) async fn check_no_gateway_runs(region: &Context) -> Result<(), Error> {
    let Some(bucket) = connection::find_bucket(region, subject::GATEWAYS_BUCKET).await? else {
        return Ok(());
    };
    let look = |source| Error::Stream { stream: bucket.stream_name.clone(), source };
    let before = reports(&bucket).await.map_err(look)?;
    sleep(REPORTS).await;
    let mut now = reports(&bucket).await.map_err(look)?.into_iter();
    match now.find(|(gateway, revision)| before.get(gateway) != Some(revision)) {
        Some((gateway, _)) => Err(Error::GatewayRuns(gateway)),
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
