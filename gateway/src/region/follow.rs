//! Follows the region's configuration: reads the snapshot from the region's own KV bucket, and again whenever
//! it changes. A snapshot that cannot be served at all leaves the one before it in place.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::KeyValueError;
use async_nats::jetstream::kv::{Entry, EntryError, Operation, Store, WatchError, WatcherError};
use async_nats::jetstream::{self, Context};
use floodgate_event::snapshot::{Snapshot, SnapshotError};
use floodgate_event::subject;
use floodgate_stream::Connection;
use futures::StreamExt as _;
use tracing::{info, warn};

use super::open::{OpenError, Opener};
use super::served::Served;
use super::state::State;

/// How long to wait before the bucket is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// How often the current snapshot is read although the watch reported nothing: a watch can stall in silence.
const RELIST: Duration = Duration::from_secs(5);

/// Follows the region's configuration, and puts what can be served into use.
pub(super) struct Follower {
    nats: Connection,
    context: Context,
    state: Arc<State>,
    opener: Opener,
    /// The snapshot that is served, and its revision in the bucket.
    current: Option<(u64, Snapshot)>,
    /// The bucket's revision that cannot be served. It is tried again only once the centre confirms it, which
    /// it does every 30 s. Whether a compilation ends in time also depends on what else the machine does.
    refused: Option<u64>,
    /// A new key arrived since the last read, so secrets that could not be opened are tried again.
    has_new_key: bool,
}

impl Follower {
    pub(super) fn new(nats: Connection, state: Arc<State>, opener: Opener) -> Self {
        let context = jetstream::new(nats.client().clone());
        Self { nats, context, state, opener, current: None, refused: None, has_new_key: false }
    }

    /// Follows the bucket for ever, through lost connections.
    pub(super) async fn run(mut self) {
        loop {
            self.nats.until_up().await;
            let ended = self.watch().await;
            self.note(ended.err());
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Follows the bucket until the connection is lost. After that everything is read again.
    async fn watch(&mut self) -> Result<(), FollowError> {
        let mut losses = self.nats.losses();
        losses.mark_unchanged();
        let mut keys = self.opener.ring();
        keys.mark_unchanged();
        let store = self.context.get_key_value(subject::SNAPSHOT_BUCKET).await?;
        let mut changes = store.watch_with_history(subject::SNAPSHOT_KEY).await?;
        loop {
            let entry = tokio::select! {
                change = changes.next() => match change {
                    Some(entry) => Some(entry?),
                    None => return Ok(()),
                },
                _ = losses.changed() => return Ok(()),
                Ok(()) = keys.changed() => {
                    (self.refused, self.has_new_key) = (None, true);
                    current(&store).await?
                }
                () = tokio::time::sleep(RELIST) => current(&store).await?,
            };
            if let Some(entry) = entry.filter(|entry| entry.operation == Operation::Put) {
                self.consider(&entry).await;
            }
        }
    }

    async fn consider(&mut self, entry: &Entry) {
        let is_current = self.current.as_ref().is_some_and(|(revision, _)| *revision == entry.revision);
        let has_new_key = std::mem::take(&mut self.has_new_key);
        let may_improve = |served: &Served| match has_new_key {
            true => !served.refused.is_empty(),
            false => served.may_improve(),
        };
        if is_current && !self.state.served().is_some_and(|served| may_improve(&served)) {
            // The bucket can be reached again.
            self.state.set_config_error(None);
        } else if self.refused != Some(entry.revision) {
            let result = self.take(entry).await;
            self.refused = result.as_ref().is_err_and(|error| error.is_final()).then_some(entry.revision);
            self.note(result.err());
        }
    }

    async fn take(&mut self, entry: &Entry) -> Result<(), FollowError> {
        let snapshot = Snapshot::from_bytes(&entry.value)?;
        if self.current.as_ref().is_some_and(|current| is_stale(entry.revision, &snapshot, current)) {
            return Ok(());
        }
        let before = self.state.served();
        let served = match &before {
            // A refused snapshot is tried again at each confirmation.
            Some(served) if served.refused.is_empty() && self.only_confirms(&snapshot) => {
                served.confirmed(snapshot.created_at_us)
            }
            _ => {
                let served = self.opener.open(&snapshot, before.as_deref()).await?;
                log_refusals(&served, before.as_deref());
                served
            }
        };
        self.state.swap(Arc::new(served));
        self.current = Some((entry.revision, snapshot));
        Ok(())
    }

    /// Returns true if the snapshot only confirms what is served already.
    fn only_confirms(&self, snapshot: &Snapshot) -> bool {
        self.current.as_ref().is_some_and(|(_, current)| {
            let created_at_us = current.created_at_us;
            current.revision == snapshot.revision
                && *current == Snapshot { created_at_us, ..snapshot.clone() }
        })
    }

    /// Reports an error, and logs it once for as long as it stays the same.
    fn note(&self, failure: Option<FollowError>) {
        if let Some(error) = failure {
            let text = error.to_string();
            if self.state.set_config_error(Some(text)) {
                warn!(%error, "configuration not in use");
            }
        }
    }
}

/// Logs that a configuration came into use, and each refusal when it begins or changes.
fn log_refusals(served: &Served, before: Option<&Served>) {
    if before.is_none_or(|before| before.revision != served.revision) {
        info!(revision = served.revision, sources = served.sources.len(), "configuration in use");
    }
    for (source, refused) in served.refused.iter() {
        if before.and_then(|before| before.refused.get(source)) != Some(refused) {
            let (reason, as_before) = (&refused.reason, served.source(source).is_some());
            warn!(%source, reason, as_before, "source not served as it is configured");
        }
    }
}

/// Returns true if the entry is older than the snapshot that is served: in a cluster, a server that lags
/// behind may answer. A bucket that was created again counts its revisions from 1, and its snapshot was
/// confirmed later.
fn is_stale(revision: u64, snapshot: &Snapshot, (current_revision, current): &(u64, Snapshot)) -> bool {
    revision < *current_revision && snapshot.created_at_us <= current.created_at_us
}

async fn current(store: &Store) -> Result<Option<Entry>, FollowError> {
    Ok(store.entry(subject::SNAPSHOT_KEY).await?)
}

impl FollowError {
    /// Returns true if another try would fail as well.
    fn is_final(&self) -> bool {
        match self {
            Self::Snapshot(_) => true,
            Self::Open(error) => error.is_final(),
            Self::Bucket(_) | Self::Watch(_) | Self::Watcher(_) | Self::Entry(_) => false,
        }
    }
}

/// Why the configuration in the bucket is not served.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error("the region's configuration bucket: {0}")]
    Bucket(#[from] KeyValueError),
    #[error("the region's configuration bucket: {0}")]
    Watch(#[from] WatchError),
    #[error("the region's configuration bucket: {0}")]
    Watcher(#[from] WatcherError),
    #[error("the region's configuration bucket: {0}")]
    Entry(#[from] EntryError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error(transparent)]
    Open(#[from] OpenError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use floodgate_event::ShardCount;

    #[test]
    fn only_an_older_copy_is_stale() {
        let snapshot = |created_at_us| Snapshot {
            revision: 1,
            created_at_us,
            region: "eu".parse().unwrap(),
            shards: ShardCount::ONE,
            sources: [].into(),
            handlers: [].into(),
        };
        let current = (7, snapshot(100));
        assert!(is_stale(6, &snapshot(90), &current));
        assert!(!is_stale(1, &snapshot(110), &current), "the bucket was made anew");
        assert!(!is_stale(8, &snapshot(90), &current), "the centre was restored from an older copy");
    }
}
