//! Distributes the configuration to a region: first the components, then the snapshot that names them, so
//! that a gateway never sees a snapshot before it can fetch all of it.
//!
//! Each round starts from the latest configuration and compares it with what the region has. A crash in
//! between leaves components that the next round finds there.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::KeyValueError;
use async_nats::jetstream::kv::{self, EntryError, Operation, UpdateError};
use floodgate_clock::Clock;
use floodgate_event::causes::chain;
use floodgate_event::snapshot::{Snapshot, SnapshotError};
use floodgate_event::{Backoff, Digest256, Name, ShardCount, subject};
use floodgate_stream::RegionConnection;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Configuration;
use super::components::{ComponentError, Components};
use super::region_snapshot::{self, BuildError, Built};
use super::store::Store;

/// How often a region that has everything is checked again, and its snapshot confirmed. `created_at_us` is
/// never older than this and a round's length while the region can be reached.
const ROUND: Duration = Duration::from_secs(30);
/// How long a revision waits for secrets to be sealed to the region, and for components to be copied there.
/// After that it is distributed without them: one source must not block all others.
const INCOMPLETE_LIMIT: Duration = Duration::from_secs(5);
/// The highest revision of a region that later changes go past.
const MAX_REVISION: u64 = 1 << 53;
/// The waits after failures. The longest one is also how late a region that comes back is noticed.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(5));

/// Distributes the configuration to one region.
pub(crate) struct Distributor {
    pub(crate) region: RegionConnection,
    pub(crate) centre: Context,
    pub(crate) shards: ShardCount,
    pub(crate) configuration: watch::Receiver<Arc<Configuration>>,
    /// Only one relay writes to regions.
    pub(crate) may_write: watch::Receiver<bool>,
    /// The clock that dates snapshots.
    pub(crate) clock: Clock,
    /// Why the last round failed. `None` if it succeeded.
    pub(crate) failure: watch::Sender<Option<String>>,
    /// Learns of a later revision in the region than the centre's, so that the next change goes past it.
    pub(crate) store: Arc<Store>,
    /// Since when secrets are missing.
    pub(crate) unsealed_since: Option<Instant>,
    /// Since when a component cannot be copied to the region.
    pub(crate) component_missing_since: Option<Instant>,
}

impl Distributor {
    /// Runs for as long as it is polled, or until the relay drops its end of a channel.
    pub(crate) async fn run(mut self) {
        let mut backoff = BACKOFF;
        while self.may_write.wait_for(|may| *may).await.is_ok() {
            // A snapshot of the future would keep later ones out of a region whose revisions begin anew.
            self.clock.agreed().await;
            let configuration = self.configuration.borrow_and_update().clone();
            let wait = match self.round(&configuration).await {
                Ok(()) => {
                    self.failure.send_replace(None);
                    backoff.reset();
                    ROUND
                }
                Err(error) => {
                    self.report(&configuration, &error);
                    backoff.pause()
                }
            };
            if let Ok(Err(_)) = tokio::time::timeout(wait, self.configuration.changed()).await {
                return;
            }
        }
    }

    async fn round(&mut self, configuration: &Configuration) -> Result<(), RoundError> {
        let now = self.clock.now_us();
        let built = region_snapshot::build(configuration, &self.region.name, self.shards, now)?;
        let Built { snapshot, unsealed } = built;
        self.await_seals(unsealed)?;
        let copied = self.copy_components(&snapshot).await;
        if copied.is_ok() {
            self.component_missing_since = None;
        } else if self.component_missing_since.get_or_insert_with(Instant::now).elapsed() < INCOMPLETE_LIMIT {
            return copied;
        }
        // Gateways continue to serve sources that bind a missing component as they were, and take all others.
        self.write(&snapshot).await?;
        copied
    }

    /// Fails for a while if secrets are missing.
    fn await_seals(&mut self, unsealed: Vec<Name>) -> Result<(), RoundError> {
        let Some(first) = unsealed.into_iter().next() else {
            self.unsealed_since = None;
            return Ok(());
        };
        let since = *self.unsealed_since.get_or_insert_with(Instant::now);
        match since.elapsed() < INCOMPLETE_LIMIT {
            true => Err(RoundError::NotSealed(first)),
            false => Ok(()),
        }
    }

    /// Copies all components that can be copied. Fails with the first that cannot.
    async fn copy_components(&self, snapshot: &Snapshot) -> Result<(), RoundError> {
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
                Err(error) => copied = copied.and(Err(RoundError::ComponentMissing(digest, error))),
            }
        }
        copied
    }

    async fn write(&self, snapshot: &Snapshot) -> Result<(), RoundError> {
        let bucket = self.region.context.get_key_value(subject::SNAPSHOT_BUCKET).await?;
        let current = bucket.entry(subject::SNAPSHOT_KEY).await?;
        let there = current.as_ref().and_then(decode);
        match &there {
            Some(there) if there.revision > MAX_REVISION => {
                return Err(RoundError::Implausible(there.revision));
            }
            Some(there) if there.revision > snapshot.revision => {
                self.store.reserve_through(there.revision);
                return Err(RoundError::Newer { there: there.revision, here: snapshot.revision });
            }
            Some(there) if there.revision == snapshot.revision && !same_content(there, snapshot) => {
                tracing::error!(region = %self.region.name, revision = there.revision, "one revision had two contents");
            }
            _ => {}
        }
        let expected = current.map_or(0, |entry| entry.revision);
        // Also if only `created_at_us` differs: it tells the region that the centre still confirms its
        // configuration. From the same revision gateways see that there is nothing to build.
        bucket.update(subject::SNAPSHOT_KEY, snapshot.to_bytes()?.into(), expected).await?;
        if there.is_none_or(|there| there.revision != snapshot.revision) {
            tracing::info!(region = %self.region.name, revision = snapshot.revision, "distributed the configuration");
        }
        Ok(())
    }

    /// Logs a failure when it begins or changes, not in each round of an outage.
    fn report(&self, configuration: &Configuration, error: &RoundError) {
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

/// Reads the region's snapshot. `None` if it is unreadable: then it is replaced.
fn decode(entry: &kv::Entry) -> Option<Snapshot> {
    let value = (entry.operation == Operation::Put).then_some(&entry.value)?;
    Snapshot::from_bytes(value).ok()
}

/// Why a round did not bring the region up to date.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RoundError {
    #[error(transparent)]
    BuildError(#[from] BuildError),
    #[error("the secrets of source `{0}` are not sealed to this region yet")]
    NotSealed(Name),
    #[error(transparent)]
    Component(#[from] ComponentError),
    #[error("component {0} cannot be copied to the region, and sources that bind it stay as they were")]
    ComponentMissing(Digest256, #[source] ComponentError),
    #[error("the region's snapshot bucket cannot be opened")]
    Bucket(#[from] KeyValueError),
    #[error("the region's snapshot cannot be read")]
    Read(#[from] EntryError),
    #[error("the snapshot cannot be written to the region")]
    Write(#[from] UpdateError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A centre restored from an older copy, or a region that belongs to another deployment.
    #[error("the region has revision {there}, and the centre is at {here}: changes will get there from revision {} on", there.saturating_add(1))]
    Newer { there: u64, here: u64 },
    /// Whoever can write the region's bucket could otherwise leave the centre without revisions to give out.
    #[error(
        "the region has revision {0}, which no relay gave out: delete the key `current` of its bucket `floodgate_snapshot`"
    )]
    Implausible(u64),
}
