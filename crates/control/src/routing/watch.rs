//! Follows the records of all shards, and waits until they reach a revision.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::kv;
use floodgate_event::{ShardCount, ShardId, subject};
use futures::StreamExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::record::{RecordError, RoutedRevision, decode};
use crate::metrics::Metrics;
use crate::store::Store;

/// How often the records are read although the watch reported nothing: a watch can stall in silence.
const REREAD: Duration = Duration::from_secs(5);
/// The same while somebody waits.
const REREAD_WAITING: Duration = Duration::from_millis(500);
/// The wait before a broken watch is set up again.
const REWATCH: Duration = Duration::from_secs(1);

/// The revisions that the shards are routed by, by shard.
type ByShard = BTreeMap<ShardId, RoutedRevision>;

/// Follows the revision that each shard is routed by. Cheap to clone.
#[derive(Clone)]
pub(crate) struct RoutedRevisions {
    shards: ShardCount,
    latest: watch::Sender<ByShard>,
    store: Arc<Store>,
    metrics: Metrics,
}

impl RoutedRevisions {
    pub(crate) fn new(store: Arc<Store>, shards: ShardCount, metrics: Metrics) -> Self {
        Self { shards, latest: watch::Sender::default(), store, metrics }
    }

    /// The deployment's number of shards.
    pub(crate) fn shards(&self) -> ShardCount {
        self.shards
    }

    /// What was read last. Shards that no writer has recorded yet are missing.
    pub(crate) fn latest(&self) -> ByShard {
        self.latest.borrow().clone()
    }

    /// Returns true if every shard is known to route by this revision or a later one. Asks nobody.
    pub(crate) fn have_reached(&self, revision: u64) -> bool {
        have_reached(&self.latest.borrow(), self.shards, revision)
    }

    /// Waits until every shard routes by this revision or a later one. Returns false if that is not so at the
    /// deadline.
    pub(crate) async fn wait_until_reached(&self, revision: u64, deadline: Instant) -> bool {
        let mut latest = self.latest.subscribe();
        let everywhere = |latest: &ByShard| have_reached(latest, self.shards, revision);
        loop {
            let until = deadline.min(Instant::now() + REREAD_WAITING);
            if timeout_at(until, latest.wait_for(everywhere)).await.is_ok() {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            // What cannot be read now is asked for again until the deadline.
            let _ = timeout_at(deadline, self.refresh()).await;
        }
    }

    /// Follows the records, through outages, for as long as it is polled.
    pub(crate) async fn follow(self) {
        loop {
            if let Err(error) = self.follow_once().await {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "cannot follow what shards route by"
                );
            }
            tokio::time::sleep(REWATCH).await;
        }
    }

    /// Follows until the watch breaks.
    async fn follow_once(&self) -> Result<(), RecordError> {
        let mut changes = self.store.bucket().await?.watch(subject::ROUTED_KEYS).await?;
        self.refresh().await?;
        loop {
            match timeout(REREAD, changes.next()).await {
                Ok(Some(Ok(entry))) => self.note(&entry),
                Ok(None | Some(Err(_))) => return Ok(()),
                Err(_) => self.refresh().await?,
            }
        }
    }

    async fn refresh(&self) -> Result<(), RecordError> {
        let bucket = self.store.bucket().await?;
        for shard in self.shards.ids() {
            if let Some(entry) = bucket.entry(subject::routed_key(shard)).await? {
                self.note(&entry);
            }
        }
        Ok(())
    }

    fn note(&self, entry: &kv::Entry) {
        let shard = self.shards.ids().find(|&shard| subject::routed_key(shard) == entry.key);
        let (Some(shard), Some(record)) = (shard, decode(entry)) else { return };
        self.metrics.set_routed_revision(shard, record.revision);
        // A centre restored from an older copy must not give out a revision that counts as routed already.
        self.store.reserve_through(record.revision);
        self.latest.send_modify(|latest| drop(latest.insert(shard, record)));
    }
}

fn have_reached(latest: &ByShard, shards: ShardCount, revision: u64) -> bool {
    shards.ids().all(|shard| latest.get(&shard).is_some_and(|record| record.revision >= revision))
}
