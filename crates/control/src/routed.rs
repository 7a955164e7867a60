//! Which revision the writer of each shard routes by, as it stands in the centre's control bucket. A change
//! is in force once every shard routes by it, and any relay can wait for that, whichever of them write.

mod announce;
#[cfg(test)]
mod model;

pub use announce::Announcer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::KeyValueError;
use async_nats::jetstream::kv::{self, EntryError, Operation, UpdateError, WatchError};
use floodgate_event::subject;
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::metrics::ControlMetrics;
use super::store::Store;

/// How often the keys are read although the watch brought nothing: a watch can stall in silence.
const REREAD: Duration = Duration::from_secs(5);
/// The same while somebody waits.
const REREAD_WAITING: Duration = Duration::from_millis(500);
/// The wait before a broken watch is set up again.
const REWATCH: Duration = Duration::from_secs(1);

/// What stands under a shard's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Each event that is read from now on is matched by this revision or a later one.
    pub revision: u64,
    /// The sequence of the writer's fence in the journal: who writes after it has a higher one.
    pub epoch: u64,
    /// The writer, for people to read.
    pub relay: String,
}

/// Follows what every shard routes by. Cheap to clone.
#[derive(Clone)]
pub struct Routed {
    centre: Context,
    shards: u32,
    standings: watch::Sender<BTreeMap<u32, Standing>>,
    store: Arc<Store>,
    metrics: ControlMetrics,
}

impl Routed {
    pub(crate) fn new(centre: Context, shards: u32, store: Arc<Store>, metrics: ControlMetrics) -> Self {
        Self { centre, shards, standings: watch::Sender::default(), store, metrics }
    }

    /// How many shards there are.
    pub fn shards(&self) -> u32 {
        self.shards
    }

    /// What is known now; shards that no writer has spoken for yet are missing.
    pub fn standings(&self) -> BTreeMap<u32, Standing> {
        self.standings.borrow().clone()
    }

    /// Whether every shard routes by this revision or a later one.
    pub fn is_in_force(&self, revision: u64) -> bool {
        all_route_by(&self.standings.borrow(), self.shards, revision)
    }

    /// Waits until every shard routes by this revision or a later one.
    /// False if that is not so at the deadline.
    pub async fn in_force(&self, revision: u64, deadline: Instant) -> bool {
        let mut standings = self.standings.subscribe();
        let everywhere = |standings: &BTreeMap<u32, Standing>| all_route_by(standings, self.shards, revision);
        loop {
            let until = deadline.min(Instant::now() + REREAD_WAITING);
            if timeout_at(until, standings.wait_for(everywhere)).await.is_ok() {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            // What cannot be read now is asked for again until the deadline.
            let _ = timeout_at(deadline, self.refresh()).await;
        }
    }

    /// Follows the keys, through outages, for as long as it is polled.
    pub async fn follow(self) {
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

    async fn follow_once(&self) -> Result<(), RoutedError> {
        let mut changes = bucket(&self.centre).await?.watch(subject::ROUTED_KEYS).await?;
        self.refresh().await?;
        loop {
            match timeout(REREAD, changes.next()).await {
                Ok(Some(Ok(entry))) => self.note(&entry),
                Ok(None | Some(Err(_))) => return Ok(()),
                Err(_) => self.refresh().await?,
            }
        }
    }

    async fn refresh(&self) -> Result<(), RoutedError> {
        let bucket = bucket(&self.centre).await?;
        for shard in 0..self.shards {
            if let Some(entry) = bucket.entry(subject::routed_key(shard)).await? {
                self.note(&entry);
            }
        }
        Ok(())
    }

    fn note(&self, entry: &kv::Entry) {
        let shard = (0..self.shards).find(|&shard| subject::routed_key(shard) == entry.key);
        let (Some(shard), Some(standing)) = (shard, decode(entry)) else { return };
        self.metrics.routed(shard, standing.revision);
        // A centre restored from an older copy must not give out a revision that counts as routed already.
        self.store.must_pass(standing.revision);
        self.standings.send_modify(|standings| drop(standings.insert(shard, standing)));
    }
}

fn all_route_by(standings: &BTreeMap<u32, Standing>, shards: u32, revision: u64) -> bool {
    (0..shards).all(|shard| standings.get(&shard).is_some_and(|standing| standing.revision >= revision))
}

/// What stands under a key, unless it was deleted or cannot be read: then the writer writes it anew.
fn decode(entry: &kv::Entry) -> Option<Standing> {
    let value = (entry.operation == Operation::Put).then_some(&entry.value)?;
    serde_json::from_slice(value).ok()
}

async fn bucket(centre: &Context) -> Result<kv::Store, KeyValueError> {
    centre.get_key_value(subject::CONTROL_BUCKET).await
}

/// Why a shard's key cannot be read or written.
#[derive(Debug, thiserror::Error)]
enum RoutedError {
    #[error("the centre's configuration bucket cannot be opened")]
    Bucket(#[from] KeyValueError),
    #[error("what a shard routes by cannot be read")]
    Read(#[from] EntryError),
    #[error("what a shard routes by cannot be written")]
    Write(#[from] UpdateError),
    #[error("what shards route by cannot be watched")]
    Watch(#[from] WatchError),
    #[error("what a shard routes by cannot be put into words")]
    Json(#[from] serde_json::Error),
    #[error("the journal's last fence cannot be read: {0}")]
    Fence(#[source] async_nats::Error),
}
