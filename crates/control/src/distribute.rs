//! Brings the configuration to a region: first the components, then the snapshot that names them, so that a
//! gateway never sees a snapshot before it can fetch all of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::KeyValueError;
use async_nats::jetstream::kv::{self, EntryError, Operation, UpdateError};
use floodgate_clock::Clock;
use floodgate_event::causes::chain;
use floodgate_event::snapshot::{Digest256, Snapshot, SnapshotError};
use floodgate_event::{Name, subject};
use tokio::sync::watch;
use tokio::time::Instant;

use super::RegionLink;
use super::components::{ComponentError, Components};
use super::configuration::Configuration;
use super::regional::{self, Incomplete, Regional};

/// How often a region that has everything is looked at again, and its snapshot confirmed: `created_at_us` is
/// never older than this and a round's length while the region can be reached.
const ROUND: Duration = Duration::from_secs(30);
/// The first wait after a failure; it doubles up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(250);
/// How long a revision waits for secrets to be sealed to the region, and for components to be copied there.
/// After that it goes there with what there is, as one source must not keep back all others.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest wait after a failure, and so how late a region that comes back is noticed.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Brings the configuration to one region.
pub(crate) struct Distributor {
    pub(crate) region: RegionLink,
    pub(crate) centre: Context,
    pub(crate) shards: u32,
    pub(crate) configuration: watch::Receiver<Arc<Configuration>>,
    /// Only one relay writes to regions.
    pub(crate) may_write: watch::Receiver<bool>,
    /// The time of snapshots.
    pub(crate) clock: Clock,
    /// Why the last round failed, for whoever asks; none after one that did not.
    pub(crate) failure: watch::Sender<Option<String>>,
    /// Where a later revision in the region than the centre's is noted, so that the next change goes past it.
    pub(crate) seen: Arc<AtomicU64>,
    /// Since when secrets are missing.
    pub(crate) unsealed_since: Option<Instant>,
    /// Since when a component cannot be brought to the region.
    pub(crate) lacking_since: Option<Instant>,
}

impl Distributor {
    /// Goes on for as long as it is polled, or until the relay lets go of its end of a channel.
    pub(crate) async fn run(mut self) {
        let mut pause = MIN_PAUSE;
        while self.may_write.wait_for(|may| *may).await.is_ok() {
            // A snapshot of the future would keep later ones out of a region whose revisions begin anew.
            self.clock.agreed().await;
            let configuration = self.configuration.borrow_and_update().clone();
            let wait = match self.round(&configuration).await {
                Ok(()) => {
                    self.failure.send_replace(None);
                    pause = MIN_PAUSE;
                    ROUND
                }
                Err(error) => {
                    self.report(&configuration, &error);
                    let longer = (pause * 2).min(MAX_PAUSE);
                    std::mem::replace(&mut pause, longer)
                }
            };
            if let Ok(Err(_)) = tokio::time::timeout(wait, self.configuration.changed()).await {
                return;
            }
        }
    }

    async fn round(&mut self, configuration: &Configuration) -> Result<(), DistributeError> {
        let now = self.clock.now_us();
        let made = regional::snapshot(configuration, &self.region.name, self.shards, now)?;
        let Regional { snapshot, unsealed } = made;
        self.await_seals(unsealed)?;
        let copied = self.copy_components(&snapshot).await;
        if copied.is_ok() {
            self.lacking_since = None;
        } else if self.lacking_since.get_or_insert_with(Instant::now).elapsed() < PATIENCE {
            return copied;
        }
        // Gateways leave the sources that bind what is lacking as they were, and serve all others.
        self.write(&snapshot).await?;
        copied
    }

    /// Fails for a while where secrets are missing.
    fn await_seals(&mut self, unsealed: Vec<Name>) -> Result<(), DistributeError> {
        let Some(first) = unsealed.into_iter().next() else {
            self.unsealed_since = None;
            return Ok(());
        };
        let since = *self.unsealed_since.get_or_insert_with(Instant::now);
        match since.elapsed() < PATIENCE {
            true => Err(DistributeError::NotSealed(first)),
            false => Ok(()),
        }
    }

    /// Copies all components that can be copied. Fails with the first that cannot.
    async fn copy_components(&self, snapshot: &Snapshot) -> Result<(), DistributeError> {
        if snapshot.handlers.is_empty() {
            return Ok(());
        }
        let region = Components::open(&self.region.context).await?;
        let centre = Components::open(&self.centre).await?;
        let mut copied = Ok(());
        for (&digest, component) in &snapshot.handlers {
            match copy(&centre, &region, digest, component.size).await {
                Ok(true) => {
                    tracing::info!(region = %self.region.name, %digest, bytes = component.size, "copied a component");
                }
                Ok(false) => {}
                Err(error) => copied = copied.and(Err(DistributeError::Lacking(digest, error))),
            }
        }
        copied
    }

    async fn write(&self, snapshot: &Snapshot) -> Result<(), DistributeError> {
        let bucket = self.region.context.get_key_value(subject::SNAPSHOT_BUCKET).await?;
        let stands = bucket.entry(subject::SNAPSHOT_KEY).await?;
        let there = stands.as_ref().and_then(decode);
        match &there {
            Some(there) if there.revision > snapshot.revision => {
                self.seen.fetch_max(there.revision, Ordering::Relaxed);
                return Err(DistributeError::Newer { there: there.revision, here: snapshot.revision });
            }
            Some(there) if there.revision == snapshot.revision && !same_content(there, snapshot) => {
                tracing::error!(region = %self.region.name, revision = there.revision, "one revision had two contents");
            }
            _ => {}
        }
        let expected = stands.map_or(0, |entry| entry.revision);
        // Also where only `created_at_us` differs: that is how a region learns that the centre still stands
        // behind its configuration. The revision tells gateways that there is nothing to build.
        bucket.update(subject::SNAPSHOT_KEY, snapshot.to_bytes()?.into(), expected).await?;
        if there.is_none_or(|there| there.revision != snapshot.revision) {
            tracing::info!(region = %self.region.name, revision = snapshot.revision, "distributed the configuration");
        }
        Ok(())
    }

    /// Logs a failure when it begins or changes, not in each round of an outage.
    fn report(&self, configuration: &Configuration, error: &DistributeError) {
        let text = chain(error);
        if self.failure.send_replace(Some(text.clone())).as_deref() != Some(&text) {
            let (region, revision) = (&self.region.name, configuration.revision);
            tracing::warn!(%region, revision, error = text, "cannot distribute the configuration");
        }
    }
}

/// Copies a component unless the region has it. Returns true if it was copied.
async fn copy(
    centre: &Components,
    region: &Components,
    digest: Digest256,
    size: u64,
) -> Result<bool, ComponentError> {
    if region.has(digest, size).await? {
        return Ok(false);
    }
    region.put(digest, &centre.get(digest).await?).await?;
    Ok(true)
}

fn same_content(one: &Snapshot, other: &Snapshot) -> bool {
    let one = Snapshot { created_at_us: other.created_at_us, ..one.clone() };
    one == *other
}

/// What stands in the bucket, unless it is unreadable: then it is replaced.
fn decode(entry: &kv::Entry) -> Option<Snapshot> {
    let value = (entry.operation == Operation::Put).then_some(&entry.value)?;
    Snapshot::from_bytes(value).ok()
}

/// Why a region does not have the configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DistributeError {
    #[error(transparent)]
    Incomplete(#[from] Incomplete),
    #[error("the secrets of source `{0}` are not sealed to this region yet")]
    NotSealed(Name),
    #[error(transparent)]
    Component(#[from] ComponentError),
    #[error("component {0} cannot be copied to the region, and sources that bind it stay as they were")]
    Lacking(Digest256, #[source] ComponentError),
    #[error("the region's snapshot bucket cannot be opened")]
    Bucket(#[from] KeyValueError),
    #[error("the region's snapshot cannot be read")]
    Read(#[from] EntryError),
    #[error("the snapshot cannot be written to the region")]
    Write(#[from] UpdateError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A centre restored from an older copy, or a region that belongs to another deployment.
    #[error("the region has revision {there}, and the centre is at {here}: changes will get there from revision {} on", there + 1)]
    Newer { there: u64, here: u64 },
}
