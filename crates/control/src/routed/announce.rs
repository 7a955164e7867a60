//! A writer says which revision it routes by: before its first event no less than was confirmed before, and
//! after that whenever its routes are replaced.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::kv::UpdateErrorKind;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use floodgate_event::causes::chain;
use floodgate_event::subject;
use floodgate_routes::{Announce, Routes, Superseded};
use floodgate_stream::lease::Lease;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::{RoutedError, Standing, bucket, decode};
use crate::store::Store;

/// The wait before something that failed is tried again, and between two looks at the configuration.
const PAUSE: Duration = Duration::from_millis(250);
/// How long a new writer looks for a revision that was confirmed and is in the centre no more: after that the
/// configuration was put back to an earlier one, and the writer goes by what there is.
const GONE_BACK: Duration = Duration::from_secs(30);
/// How often a writer looks whether its key still says what it wrote: a bucket may be restored from a copy.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Speaks for one shard while this process may write it.
#[derive(Clone)]
pub struct Announcer {
    pub(crate) centre: Context,
    pub(crate) shard: u32,
    pub(crate) relay: String,
    pub(crate) store: Arc<Store>,
    pub(crate) routes: watch::Receiver<Arc<Routes>>,
    #[cfg(test)]
    pub(crate) planted: crate::planted::Planted,
}

/// What came of one attempt to write the key.
enum Said {
    /// It says so now.
    Yes,
    /// A later revision was confirmed than this process routes by.
    Behind(u64),
    /// Something else was written meanwhile.
    Again,
    /// Another writer speaks for the shard.
    Superseded,
}

impl Announce for Announcer {
    /// Takes the key over under this epoch, once this process routes by no less than was confirmed:
    /// events may have been accepted because of that. Nothing may be matched before.
    ///
    /// The key is written by compare-and-set, so whatever an earlier writer still confirms is either
    /// seen here or refused to it.
    async fn claim(&mut self, epoch: u64, lease: &Lease) -> Result<(), Superseded> {
        let mut behind_since = None;
        // What was confirmed is in the centre, and the watch may lag.
        let _ = self.store.refresh().await;
        while lease.is_held() {
            let revision = self.routes.borrow_and_update().revision;
            let forced = behind_since.is_some_and(|since: Instant| since.elapsed() > GONE_BACK);
            match self.say(revision, epoch, forced).await {
                Ok(Said::Yes) => return Ok(()),
                Ok(Said::Superseded) => break,
                Ok(Said::Again) => {}
                Ok(Said::Behind(confirmed)) => match self.catch_up(confirmed).await {
                    // Only a centre that answers can show that it has no such revision.
                    true => _ = behind_since.get_or_insert_with(Instant::now),
                    false => behind_since = None,
                },
                Err(error) => self.failed(&error).await,
            }
        }
        Err(Superseded)
    }

    /// Says each revision as soon as routes are replaced by it, until another writer speaks.
    async fn follow(mut self, epoch: u64, lease: Lease) {
        while lease.is_held() {
            let revision = self.routes.borrow_and_update().revision;
            match self.say(revision, epoch, false).await {
                Ok(Said::Superseded) => return,
                Ok(Said::Yes) => {
                    // Ends too once no routes can come any more: then the process stops.
                    if matches!(timeout(LOOK_AGAIN, self.changed()).await, Ok(false)) {
                        return;
                    }
                }
                Ok(Said::Again) => {}
                Ok(Said::Behind(confirmed)) => _ = self.catch_up(confirmed).await,
                Err(error) => self.failed(&error).await,
            }
        }
    }
}

impl Announcer {
    async fn changed(&mut self) -> bool {
        self.routes.changed().await.is_ok()
    }

    /// Reads the configuration, and gives the routes time to follow it. Returns true if the
    /// centre has no such revision.
    /// Later changes must go past what was confirmed, even if it is in the centre no more.
    async fn catch_up(&mut self, confirmed: u64) -> bool {
        self.store.must_pass(confirmed);
        let looked = self.store.refresh().await;
        if let Err(error) = &looked {
            tracing::warn!(shard = self.shard, error = chain(error), "cannot read the configuration");
        }
        let _ = timeout(PAUSE, self.changed()).await;
        looked.is_ok() && self.store.latest().revision < confirmed
    }

    async fn failed(&self, error: &RoutedError) {
        tracing::warn!(shard = self.shard, error = chain(error), "cannot say which revision is routed by");
        sleep(PAUSE).await;
    }

    /// Writes the key unless it says that already. With `forced`, it also replaces a revision later than the
    /// one that this process routes by.
    async fn say(&self, revision: u64, epoch: u64, forced: bool) -> Result<Said, RoutedError> {
        let (stands, at) = self.stands().await?;
        if let Some(stands) = &stands {
            if !self.may_follow(stands, epoch).await? {
                return Ok(Said::Superseded);
            }
            let (shard, confirmed) = (self.shard, stands.revision);
            if confirmed > revision && !forced && !self.ignores_confirmed() {
                return Ok(Said::Behind(confirmed));
            }
            if confirmed > revision {
                tracing::error!(
                    shard,
                    confirmed,
                    revision,
                    "the configuration went back: it is routed by what there is"
                );
            }
        }
        self.write(revision, epoch, stands, at).await
    }

    /// What stands there, and the revision of the key that a write must still find.
    async fn stands(&self) -> Result<(Option<Standing>, u64), RoutedError> {
        let entry = bucket(&self.centre).await?.entry(subject::routed_key(self.shard)).await?;
        Ok(entry.map_or((None, 0), |entry| (decode(&entry), entry.revision)))
    }

    /// Whether a writer of this epoch speaks after what stands there.
    /// An epoch that is higher than the last fence of the journal is from before the journal was made anew.
    async fn may_follow(&self, stands: &Standing, epoch: u64) -> Result<bool, RoutedError> {
        Ok(stands.epoch <= epoch || self.last_fence().await? == epoch)
    }

    async fn last_fence(&self) -> Result<u64, RoutedError> {
        let name = subject::journal_stream(self.shard);
        let journal = self.centre.get_stream(name).await.map_err(|error| RoutedError::Fence(error.into()))?;
        match journal.get_last_raw_message_by_subject(&subject::journal_fence(self.shard)).await {
            Ok(message) => Ok(message.sequence),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(0),
            Err(error) => Err(RoutedError::Fence(error.into())),
        }
    }

    async fn write(
        &self,
        revision: u64,
        epoch: u64,
        stands: Option<Standing>,
        at: u64,
    ) -> Result<Said, RoutedError> {
        let standing = Standing { revision, epoch, relay: self.relay.clone() };
        if stands.as_ref() == Some(&standing) {
            return Ok(Said::Yes);
        }
        let value = serde_json::to_vec(&standing)?;
        let key = subject::routed_key(self.shard);
        match bucket(&self.centre).await?.update(key, value.into(), at).await {
            Ok(_) => Ok(Said::Yes),
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => Ok(Said::Again),
            // Whether it was written is seen at the next look.
            Err(error) => Err(error.into()),
        }
    }

    #[cfg(test)]
    fn ignores_confirmed(&self) -> bool {
        self.planted.ignores_confirmed
    }

    #[cfg(not(test))]
    const fn ignores_confirmed(&self) -> bool {
        false
    }
}
