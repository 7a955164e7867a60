//! The writer of a shard records the revision that it routes by: before its first event at least the revision
//! that was recorded before, and after that each revision as soon as routes are replaced.
//!
//! The record is written by compare-and-set. A writer that dies leaves its last record, which the next writer
//! catches up with before it matches anything.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::kv::UpdateErrorKind;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use floodgate_event::ShardId;
use floodgate_event::causes::chain;
use floodgate_event::subject;
use floodgate_routes::{Announce, Routes, Superseded};
use floodgate_stream::lease::Lease;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::record::{RecordError, RoutedRevision, decode};
use crate::store::Store;

/// The wait before something that failed is tried again, and between two reads of the configuration.
const PAUSE: Duration = Duration::from_millis(250);
/// How long a new writer waits for a recorded revision that the centre does not have. After that the
/// configuration was set back to an earlier one, and the writer routes by what there is.
const MISSING_REVISION_LIMIT: Duration = Duration::from_secs(30);
/// How often a writer checks that its record still holds what it wrote: a bucket may be restored from a copy.
const RECHECK: Duration = Duration::from_secs(10);

/// Records one shard's routed revision while this process may write the shard.
#[derive(Clone)]
pub struct Announcer {
    pub(crate) centre: Context,
    pub(crate) shard: ShardId,
    pub(crate) relay: String,
    pub(crate) store: Arc<Store>,
    pub(crate) routes: watch::Receiver<Arc<Routes>>,
    #[cfg(test)]
    pub(crate) faults: crate::fault_injection::Faults,
}

/// The result of one attempt to write the record.
enum Attempt {
    /// The record holds the revision now.
    Recorded,
    /// The record holds this later revision, which this process does not route by yet.
    Behind(u64),
    /// Something else was written meanwhile.
    Conflict,
    /// Another writer has taken the shard over.
    Superseded,
}

impl Announce for Announcer {
    /// Takes the record over under this epoch, once this process routes by at least the revision in it:
    /// events may have been accepted because of that. Nothing may be matched before.
    ///
    /// The record is written by compare-and-set, so that whatever an earlier writer still confirms is either
    /// seen here or refused to it.
    async fn claim(&mut self, epoch: u64, lease: &Lease) -> Result<(), Superseded> {
        let mut missing_since = None;
        // The recorded revision is in the centre, and the watch may lag.
        let _ = self.store.refresh().await;
        while lease.is_held() {
            let revision = self.routes.borrow_and_update().revision;
            let forced = missing_since.is_some_and(|since: Instant| since.elapsed() > MISSING_REVISION_LIMIT);
            match self.record(revision, epoch, forced).await {
                Ok(Attempt::Recorded) => return Ok(()),
                Ok(Attempt::Superseded) => break,
                Ok(Attempt::Conflict) => {}
                Ok(Attempt::Behind(recorded)) => match self.catch_up(recorded).await {
                    // Only a centre that answers can show that it has no such revision.
                    true => _ = missing_since.get_or_insert_with(Instant::now),
                    false => missing_since = None,
                },
                Err(error) => self.failed(&error).await,
            }
        }
        Err(Superseded)
    }

    /// Records each revision as soon as routes are replaced by it, until another writer takes over.
    async fn follow(mut self, epoch: u64, lease: Lease) {
        while lease.is_held() {
            let revision = self.routes.borrow_and_update().revision;
            match self.record(revision, epoch, false).await {
                Ok(Attempt::Superseded) => return,
                Ok(Attempt::Recorded) => {
                    // Ends too once no routes can come any more: then the process stops.
                    if matches!(timeout(RECHECK, self.changed()).await, Ok(false)) {
                        return;
                    }
                }
                Ok(Attempt::Conflict) => {}
                Ok(Attempt::Behind(recorded)) => _ = self.catch_up(recorded).await,
                Err(error) => self.failed(&error).await,
            }
        }
    }
}

impl Announcer {
    async fn changed(&mut self) -> bool {
        self.routes.changed().await.is_ok()
    }

    /// Reads the configuration, and gives the routes time to follow it. Returns true if the centre answered
    /// and does not have the recorded revision. Later changes get revisions past it in any case.
    async fn catch_up(&mut self, recorded: u64) -> bool {
        self.store.reserve_through(recorded);
        let read = self.store.refresh().await;
        if let Err(error) = &read {
            tracing::warn!(shard = self.shard.get(), error = chain(error), "cannot read the configuration");
        }
        let _ = timeout(PAUSE, self.changed()).await;
        read.is_ok() && self.store.latest().revision < recorded
    }

    async fn failed(&self, error: &RecordError) {
        tracing::warn!(
            shard = self.shard.get(),
            error = chain(error),
            "cannot say which revision is routed by"
        );
        sleep(PAUSE).await;
    }

    /// Writes the record unless it holds the same already. With `forced`, it also replaces a revision later
    /// than the one that this process routes by.
    async fn record(&self, revision: u64, epoch: u64, forced: bool) -> Result<Attempt, RecordError> {
        let (current, kv_revision) = self.current().await?;
        if let Some(current) = &current {
            if !self.may_replace(current, epoch).await? {
                return Ok(Attempt::Superseded);
            }
            let (shard, confirmed) = (self.shard, current.revision);
            if confirmed > revision && !forced && !self.ignores_confirmed() {
                return Ok(Attempt::Behind(confirmed));
            }
            if confirmed > revision {
                tracing::error!(
                    shard = shard.get(),
                    confirmed,
                    revision,
                    "the configuration went back: it is routed by what there is"
                );
            }
        }
        let record = RoutedRevision { revision, epoch, relay: self.relay.clone() };
        match current.as_ref() == Some(&record) {
            true => Ok(Attempt::Recorded),
            false => self.write(&record, kv_revision).await,
        }
    }

    /// The record, and the revision of its key that a write must still find.
    async fn current(&self) -> Result<(Option<RoutedRevision>, u64), RecordError> {
        let entry = self.store.bucket().await?.entry(subject::routed_key(self.shard)).await?;
        Ok(entry.map_or((None, 0), |entry| (decode(&entry), entry.revision)))
    }

    /// Returns true if a writer of this epoch comes after the one that wrote the record. A recorded epoch
    /// that is higher than the journal's last fence is from before the journal was made anew.
    async fn may_replace(&self, current: &RoutedRevision, epoch: u64) -> Result<bool, RecordError> {
        Ok(current.epoch <= epoch || self.last_fence().await? == epoch)
    }

    async fn last_fence(&self) -> Result<u64, RecordError> {
        let name = subject::journal_stream(self.shard);
        let journal = self.centre.get_stream(name).await.map_err(|error| RecordError::Fence(error.into()))?;
        match journal.get_last_raw_message_by_subject(&subject::journal_fence(self.shard)).await {
            Ok(message) => Ok(message.sequence),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(0),
            Err(error) => Err(RecordError::Fence(error.into())),
        }
    }

    async fn write(&self, record: &RoutedRevision, expected: u64) -> Result<Attempt, RecordError> {
        let value = serde_json::to_vec(record)?;
        let key = subject::routed_key(self.shard);
        match self.store.bucket().await?.update(key, value.into(), expected).await {
            Ok(_) => Ok(Attempt::Recorded),
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => Ok(Attempt::Conflict),
            // The next attempt sees whether it was written.
            Err(error) => Err(error.into()),
        }
    }

    #[cfg(test)]
    fn ignores_confirmed(&self) -> bool {
        self.faults.ignores_confirmed
    }

    #[cfg(not(test))]
    const fn ignores_confirmed(&self) -> bool {
        false
    }
}
