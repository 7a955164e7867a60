//! The configuration in the centre's KV bucket: changed by compare-and-set, so that any number of relays may
//! take changes at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::KeyValueError;
use async_nats::jetstream::kv::{
    self, EntryError, HistoryError, HistoryErrorKind, Operation, UpdateError, UpdateErrorKind, WatchError,
};
use bytes::Bytes;
use floodgate_event::document::DocumentError;
use floodgate_event::subject;
use futures::StreamExt;
use tokio::sync::{Mutex, watch};

use super::change::Refused;
use super::configuration::Configuration;
use super::fit::FitError;
use super::metrics::ControlMetrics;

/// How often a change is tried again because something else changed first.
pub(super) const MAX_CONFLICTS: usize = 8;
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
    /// The latest revision that a region was found to have, or a shard to be routed by, where that
    /// is later than the centre's.
    seen_elsewhere: Arc<AtomicU64>,
    metrics: ControlMetrics,
}

/// What a change did.
pub struct Changed<T> {
    /// What was stored before.
    pub before: Arc<Configuration>,
    /// Of the same revision as `before` if nothing changed.
    pub after: Arc<Configuration>,
    /// What the change itself returned.
    pub value: T,
}

/// The document as read, with the KV revision that a change must still find.
struct Read {
    configuration: Configuration,
    bytes: usize,
    kv_revision: u64,
}

enum Written {
    Yes,
    SomethingElseWas,
}

impl Store {
    /// Reads the configuration; a new deployment gets an empty one at revision 1.
    pub(crate) async fn open(centre: Context, metrics: ControlMetrics) -> Result<Self, StoreError> {
        let (latest, _) = watch::channel(Arc::default());
        let (changing, reachable) = (Mutex::new(()), AtomicBool::new(true));
        let seen_elsewhere = Arc::default();
        let store = Self { centre, latest, changing, reachable, seen_elsewhere, metrics };
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

    /// Follows the latest revision.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Configuration>> {
        self.latest.subscribe()
    }

    /// Where it is noted that a region has a later revision than the centre.
    pub(crate) fn seen_elsewhere(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.seen_elsewhere)
    }

    /// Later changes get revisions past this one.
    pub(crate) fn must_pass(&self, revision: u64) {
        self.seen_elsewhere.fetch_max(revision, Ordering::Relaxed);
    }

    /// Whether the centre answered when it was last asked.
    pub(crate) fn is_reachable(&self) -> bool {
        self.reachable.load(Ordering::Relaxed)
    }

    /// Applies a change and writes it, unless it changes nothing. Ends without an effect, or with the whole.
    pub(crate) async fn change<T>(
        &self,
        apply: impl Fn(&mut Configuration) -> Result<T, Refused>,
    ) -> Result<Changed<T>, ChangeError> {
        let _queued = self.changing.lock().await;
        let bucket = self.bucket().await?;
        for _ in 0..MAX_CONFLICTS {
            let read = read(&bucket).await?;
            let changed = self.applied(read.configuration, &apply)?;
            let mut bytes = read.bytes;
            if changed.before.revision != changed.after.revision {
                let document = Bytes::from(changed.after.to_bytes().map_err(StoreError::from)?);
                // A document that could not be read would shut out every later change, and a relay that
                // starts.
                Configuration::from_bytes(&document).map_err(StoreError::Unreadable)?;
                bytes = document.len();
                match write(&bucket, document, read.kv_revision).await? {
                    Written::Yes => {}
                    Written::SomethingElseWas => continue,
                }
            }
            self.publish(changed.after.clone(), bytes);
            return Ok(changed);
        }
        Err(StoreError::Busy.into())
    }

    /// What a change would do.
    pub(crate) async fn preview<T>(
        &self,
        apply: impl Fn(&mut Configuration) -> Result<T, Refused>,
    ) -> Result<Changed<T>, ChangeError> {
        let read = read(&self.bucket().await?).await?;
        Ok(self.applied(read.configuration, &apply)?)
    }

    fn applied<T>(
        &self,
        before: Configuration,
        apply: impl Fn(&mut Configuration) -> Result<T, Refused>,
    ) -> Result<Changed<T>, Refused> {
        let mut after = before.clone();
        let value = apply(&mut after)?;
        if after != before {
            // Past what was seen before too: a centre restored from an older copy must not give out a
            // revision that regions know with another content.
            let seen = self.seen_elsewhere.load(Ordering::Relaxed).max(self.latest.borrow().revision);
            after.revision = before.revision.max(seen) + 1;
        }
        Ok(Changed { before: Arc::new(before), after: Arc::new(after), value })
    }

    /// What the latest of the kept revisions says in which `find` finds something.
    pub(crate) async fn last_of<T>(
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
            // One that cannot be read says nothing.
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
            // What the watch brings is only a sign: the document is read, and a broken watch set up again.
            let change = tokio::time::timeout(REREAD, changes.next()).await;
            if matches!(change, Ok(None | Some(Err(_)))) {
                return Ok(());
            }
        }
    }

    /// Reads the document.
    pub(super) async fn refresh(&self) -> Result<(), StoreError> {
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
                self.metrics.wanted(read.revision, bytes);
                *latest = read;
            }
            newer
        });
    }

    async fn bucket(&self) -> Result<kv::Store, StoreError> {
        self.centre.get_key_value(subject::CONTROL_BUCKET).await.map_err(StoreError::Bucket)
    }
}

async fn read(bucket: &kv::Store) -> Result<Read, StoreError> {
    match bucket.entry(subject::CONTROL_KEY).await.map_err(StoreError::Read)? {
        None => Ok(Read { configuration: Configuration::default(), bytes: 0, kv_revision: 0 }),
        // Nothing here deletes it. Whoever did must put a copy from the bucket's history back.
        Some(entry) if entry.operation != Operation::Put => Err(StoreError::Deleted),
        Some(entry) => Ok(Read {
            configuration: Configuration::from_bytes(&entry.value)?,
            bytes: entry.value.len(),
            kv_revision: entry.revision,
        }),
    }
}

/// Writes if nothing else was written meanwhile. Where the answer is lost, what stands there decides:
/// seals are random, so that the same bytes are this write.
async fn write(bucket: &kv::Store, bytes: Bytes, expected: u64) -> Result<Written, StoreError> {
    let error = match bucket.update(subject::CONTROL_KEY, bytes.clone(), expected).await {
        Ok(_) => return Ok(Written::Yes),
        Err(error) => error,
    };
    let stands = bucket.entry(subject::CONTROL_KEY).await.map_err(StoreError::Read)?;
    match stands {
        Some(entry) if entry.value == bytes => Ok(Written::Yes),
        _ if error.kind() == UpdateErrorKind::WrongLastRevision => Ok(Written::SomethingElseWas),
        _ => Err(StoreError::Write(error)),
    }
}

/// Why the configuration could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The bucket is out of reach, or not there.
    #[error("the centre's configuration bucket cannot be opened")]
    Bucket(#[source] KeyValueError),
    /// The document cannot be read.
    #[error("the configuration cannot be read from the centre")]
    Read(#[source] EntryError),
    /// The document cannot be written; it may have been all the same.
    #[error("the configuration cannot be written to the centre")]
    Write(#[source] UpdateError),
    /// The document cannot be followed.
    #[error("the configuration cannot be watched in the centre")]
    Watch(#[source] WatchError),
    /// The revisions before cannot be read.
    #[error("earlier configurations cannot be read from the centre")]
    History(#[source] HistoryError),
    /// Somebody deleted the document.
    #[error("the configuration was deleted from the centre's bucket: put a copy from its history back")]
    Deleted,
    /// Too many changes at once.
    #[error("the configuration kept changing: tried {MAX_CONFLICTS} times")]
    Busy,
    /// The change makes a document that this program could not read again.
    #[error("the change was not made: the configuration could not be read with it")]
    Unreadable(#[source] DocumentError),
    /// The document is not of the expected form, or would be too large.
    #[error("configuration: {0}")]
    Format(#[from] DocumentError),
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The change itself was refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A handler cannot be bound like that.
    #[error(transparent)]
    Fit(Box<FitError>),
    /// It could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}
