//! Keeps the configuration in the centre's KV bucket.
//!
//! The whole document is one value, and each change replaces it by compare-and-set. Any number of relays may
//! therefore make changes at once. A change is durable once the bucket has acknowledged it. A crash before
//! that leaves the document as it was; if the acknowledgement is lost, the bucket is read again to see which
//! it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::kv::{self, HistoryError, HistoryErrorKind, Operation, UpdateErrorKind};
use bytes::Bytes;
use floodgate_event::subject;
use futures::StreamExt;
use tokio::sync::{Mutex, watch};

use super::change::Refused;
use super::configuration::Configuration;
use super::error::{ChangeError, MAX_CONFLICTS, StoreError};
use super::metrics::Metrics;

/// How often the document is read although the watch reported nothing: a watch can stall in silence.
const REREAD: Duration = Duration::from_secs(10);
/// The wait before a broken watch is set up again.
const REWATCH: Duration = Duration::from_secs(1);

/// Reads, changes and follows the configuration.
pub(crate) struct Store {
    centre: Context,
    latest: watch::Sender<Arc<Configuration>>,
    /// This process's changes queue here instead of conflicting with each other.
    changing: Mutex<()>,
    reachable: AtomicBool,
    /// The latest revision that a region or a shard's record was found to have. It may be later than the
    /// centre's, and changes get revisions past it.
    reserved: AtomicU64,
    metrics: Metrics,
}

/// The configuration before and after a change.
pub struct Changed<T> {
    /// The configuration that the change was applied to.
    pub before: Arc<Configuration>,
    /// The configuration with the change. It has the same revision as `before` if nothing changed.
    pub after: Arc<Configuration>,
    /// What the change returned, such as the number of an uploaded version.
    pub value: T,
}

/// The document as read, with the KV revision that a change must still find.
struct StoredDocument {
    configuration: Configuration,
    bytes: usize,
    kv_revision: u64,
}

/// The result of a compare-and-set.
enum Outcome {
    Written,
    /// Another change was written first.
    Conflict,
}

impl Store {
    /// Reads the configuration. A new deployment gets an empty one at revision 1.
    pub(crate) async fn open(centre: Context, metrics: Metrics) -> Result<Self, StoreError> {
        let (latest, _) = watch::channel(Arc::default());
        let (changing, reachable) = (Mutex::new(()), AtomicBool::new(true));
        let reserved = AtomicU64::new(0);
        let store = Self { centre, latest, changing, reachable, reserved, metrics };
        let bucket = store.bucket().await?;
        let read = read(&bucket).await?;
        if read.configuration.revision == 0 {
            let first = Configuration { revision: 1, ..Configuration::default() };
            write(&bucket, first.to_bytes()?.into(), read.kv_revision).await?;
        }
        store.refresh().await?;
        Ok(store)
    }

    /// The latest revision that this process has seen.
    pub(crate) fn latest(&self) -> Arc<Configuration> {
        self.latest.borrow().clone()
    }

    /// Follows the latest revision that this process has read.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Configuration>> {
        self.latest.subscribe()
    }

    /// Makes later changes get revisions past this one.
    pub(crate) fn reserve_through(&self, revision: u64) {
        self.reserved.fetch_max(revision, Ordering::Relaxed);
    }

    /// Returns true if the centre answered when it was last asked.
    pub(crate) fn is_reachable(&self) -> bool {
        self.reachable.load(Ordering::Relaxed)
    }

    /// Applies a change and writes it, unless it changes nothing. The whole change is made, or nothing of it.
    pub(crate) async fn change<T>(
        &self,
        apply: impl Fn(&mut Configuration) -> Result<T, Refused>,
    ) -> Result<Changed<T>, ChangeError> {
        let _queued = self.changing.lock().await;
        let bucket = self.bucket().await?;
        for _ in 0..MAX_CONFLICTS {
            let read = read(&bucket).await?;
            let changed = self.apply(read.configuration, &apply)?;
            let mut bytes = read.bytes;
            if changed.before.revision != changed.after.revision {
                let document = Bytes::from(changed.after.to_bytes().map_err(StoreError::from)?);
                // A document that could not be read would shut out every later change, and a relay that
                // starts.
                Configuration::from_bytes(&document).map_err(StoreError::Unreadable)?;
                bytes = document.len();
                match write(&bucket, document, read.kv_revision).await? {
                    Outcome::Written => {}
                    Outcome::Conflict => continue,
                }
            }
            self.publish(changed.after.clone(), bytes);
            return Ok(changed);
        }
        Err(StoreError::Busy.into())
    }

    /// Applies a change to what is stored now, and writes nothing.
    pub(crate) async fn preview<T>(
        &self,
        apply: impl Fn(&mut Configuration) -> Result<T, Refused>,
    ) -> Result<Changed<T>, ChangeError> {
        let read = read(&self.bucket().await?).await?;
        Ok(self.apply(read.configuration, &apply)?)
    }

    fn apply<T>(
        &self,
        before: Configuration,
        apply: impl Fn(&mut Configuration) -> Result<T, Refused>,
    ) -> Result<Changed<T>, Refused> {
        let mut after = before.clone();
        let value = apply(&mut after)?;
        if after != before {
            // A centre restored from an older copy must not give out a revision that regions know with
            // another content.
            let known = self.reserved.load(Ordering::Relaxed).max(self.latest.borrow().revision);
            after.revision = before.revision.max(known) + 1;
        }
        Ok(Changed { before: Arc::new(before), after: Arc::new(after), value })
    }

    /// What `find` finds in the latest of the kept revisions that has it.
    pub(crate) async fn find_in_history<T>(
        &self,
        find: impl Fn(&Configuration) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        let bucket = self.bucket().await?;
        let mut history = bucket.history(subject::CONTROL_KEY).await.map_err(StoreError::History)?;
        let mut last = None;
        while let Some(entry) = history.next().await {
            let entry = entry.map_err(|error| {
                StoreError::History(HistoryError::with_source(HistoryErrorKind::Other, error))
            })?;
            // A revision that cannot be read is skipped.
            let found = Configuration::from_bytes(&entry.value).ok().as_ref().and_then(&find);
            last = found.or(last);
        }
        Ok(last)
    }

    /// Follows changes that other relays make, through outages, for as long as it is polled.
    pub(crate) async fn follow(&self) {
        loop {
            if let Err(error) = self.follow_once().await {
                self.reachable.store(false, Ordering::Relaxed);
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot follow the configuration");
            }
            tokio::time::sleep(REWATCH).await;
        }
    }

    /// Follows until the watch breaks.
    async fn follow_once(&self) -> Result<(), StoreError> {
        let mut changes =
            self.bucket().await?.watch(subject::CONTROL_KEY).await.map_err(StoreError::Watch)?;
        loop {
            self.refresh().await?;
            // A change is only a hint: the document is read again in any case.
            let change = tokio::time::timeout(REREAD, changes.next()).await;
            if matches!(change, Ok(None | Some(Err(_)))) {
                return Ok(());
            }
        }
    }

    /// Reads the document, and makes it the latest if it is.
    pub(crate) async fn refresh(&self) -> Result<(), StoreError> {
        let read = read(&self.bucket().await?).await?;
        self.reachable.store(true, Ordering::Relaxed);
        self.publish(Arc::new(read.configuration), read.bytes);
        Ok(())
    }

    /// Makes a configuration the latest, unless a later one is known: reads may overtake each other.
    fn publish(&self, read: Arc<Configuration>, bytes: usize) {
        self.latest.send_if_modified(|latest| {
            let newer = read.revision > latest.revision;
            if newer {
                self.metrics.set_latest_revision(read.revision, bytes);
                *latest = read;
            }
            newer
        });
    }

    /// The control bucket, which also holds the shards' records.
    pub(crate) async fn bucket(&self) -> Result<kv::Store, StoreError> {
        self.centre.get_key_value(subject::CONTROL_BUCKET).await.map_err(StoreError::Bucket)
    }
}

async fn read(bucket: &kv::Store) -> Result<StoredDocument, StoreError> {
    match bucket.entry(subject::CONTROL_KEY).await.map_err(StoreError::Read)? {
        None => Ok(StoredDocument { configuration: Configuration::default(), bytes: 0, kv_revision: 0 }),
        // Floodgate never deletes it. Whoever did must put a copy from the bucket's history back.
        Some(entry) if entry.operation != Operation::Put => Err(StoreError::Deleted),
        Some(entry) => Ok(StoredDocument {
            configuration: Configuration::from_bytes(&entry.value)?,
            bytes: entry.value.len(),
            kv_revision: entry.revision,
        }),
    }
}

/// Writes if nothing else was written meanwhile. If the answer is lost, the bucket is read to see what it
/// holds: seals are random, so that the same bytes are this write.
async fn write(bucket: &kv::Store, bytes: Bytes, expected: u64) -> Result<Outcome, StoreError> {
    let error = match bucket.update(subject::CONTROL_KEY, bytes.clone(), expected).await {
        Ok(_) => return Ok(Outcome::Written),
        Err(error) => error,
    };
    let current = bucket.entry(subject::CONTROL_KEY).await.map_err(StoreError::Read)?;
    match current {
        Some(entry) if entry.value == bytes => Ok(Outcome::Written),
        _ if error.kind() == UpdateErrorKind::WrongLastRevision => Ok(Outcome::Conflict),
        _ => Err(StoreError::Write(error)),
    }
}
