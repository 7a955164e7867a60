//! The lease to write a shard's central log. It has one holder at a time, and each holder has an epoch.
//!
//! The lease is an entry of a KV bucket in the centre. Its holder renews it after each third of its length. A
//! contender takes it over after it has seen the same revision for a whole length on its own monotonic clock,
//! so that clocks of hosts are never compared. A holder counts the length from *before* it asked for a
//! renewal, so that it stops first. The stream itself refuses what the holder still had under way: see
//! [`append`](crate::append).
//!
//! A contender that is far behind the log does not take the lease, so that one that can begin at once gets
//! it. This costs nothing if there is no other contender, because it must fold the log before it writes
//! anyway.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::kv::{CreateErrorKind, Store, UpdateErrorKind};
use floodgate_event::{ShardId, subject};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

/// A held lease. Clones share it.
#[derive(Clone, Debug)]
pub struct Lease {
    epoch: u64,
    writer: [u8; 16],
    valid_until: Arc<Mutex<Instant>>,
    lost: CancellationToken,
}

impl Lease {
    /// Returns true while this process may write. False as soon as another one could have taken the lease
    /// over.
    pub fn is_held(&self) -> bool {
        !self.lost.is_cancelled() && Instant::now() < self.valid_until()
    }

    /// Returns once the lease is lost or given up.
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Gives the lease up. Nothing is written under it afterwards.
    pub fn give_up(&self) {
        self.lost.cancel();
    }

    /// The number of this holder among all that this shard's lease has had.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// A random number of this holder, which is written into each of its blocks.
    pub fn writer(&self) -> [u8; 16] {
        self.writer
    }

    fn valid_until(&self) -> Instant {
        *self.valid_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn extend(&self, until: Instant) {
        *self.valid_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

/// The value of the lease's key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    epoch: u64,
    holder: String,
    /// The holder gave the lease back, so that nobody needs to wait.
    released: bool,
}

/// The holder that the value of a lease's key names. None if the lease was given back.
///
/// # Errors
/// If the value is not one that a contender writes.
pub fn holder(value: &[u8]) -> Result<Option<String>, serde_json::Error> {
    let record: Record = serde_json::from_slice(value)?;
    Ok((!record.released).then_some(record.holder))
}

/// Decides whether a contender may take the lease.
pub trait Readiness: Sync {
    /// Returns true if the contender may take the lease. Called whenever the lease is free.
    fn is_ready(&self) -> impl Future<Output = bool> + Send;
}

/// A contender that is always ready.
pub struct Ready;

impl Readiness for Ready {
    async fn is_ready(&self) -> bool {
        true
    }
}

/// Competes for the lease of one shard.
pub struct Contender {
    store: Store,
    key: String,
    holder: String,
    length: Duration,
}

impl Contender {
    /// `holder` is a name for people to read. `length` is how long a silent holder keeps the lease.
    pub fn new(store: Store, shard: ShardId, holder: String, length: Duration) -> Self {
        Self { store, key: subject::lease_key(shard), holder, length }
    }

    /// Waits for the lease, and then renews it until it is lost or given up. None on shutdown. A lease that
    /// is held outlives the shutdown, so that what is under way can be recorded.
    pub async fn acquire(&self, shutdown: &CancellationToken) -> Option<Lease> {
        self.acquire_when(&Ready, shutdown).await
    }

    /// As [`Self::acquire`], but takes the lease only while `readiness` says so.
    pub async fn acquire_when(
        &self,
        readiness: &impl Readiness,
        shutdown: &CancellationToken,
    ) -> Option<Lease> {
        shutdown.run_until_cancelled(self.contend(readiness)).await
    }

    async fn contend(&self, readiness: &impl Readiness) -> Lease {
        let mut watched: Option<(u64, Instant)> = None;
        loop {
            let before = Instant::now();
            match self.try_take(&mut watched, readiness).await {
                Ok(Some((revision, epoch))) => return self.hold(revision, epoch, before),
                Ok(None) => {}
                Err(error) => tracing::warn!(key = self.key, %error, "cannot read the lease"),
            }
            sleep(self.length / 5).await;
        }
    }

    /// Reads the key once. Returns revision and epoch if this contender took the lease.
    async fn try_take(
        &self,
        watched: &mut Option<(u64, Instant)>,
        readiness: &impl Readiness,
    ) -> Result<Option<(u64, u64)>, LeaseError> {
        let entry = self.store.entry(&self.key).await.map_err(|error| LeaseError(error.into()))?;
        let Some(entry) = entry else {
            if !readiness.is_ready().await {
                return Ok(None);
            }
            let taken = self.store.create(&self.key, self.record(1, false)).await;
            return match taken {
                Ok(revision) => Ok(Some((revision, 1))),
                Err(error) if error.kind() == CreateErrorKind::AlreadyExists => Ok(None),
                Err(error) => Err(LeaseError(error.into())),
            };
        };
        let record: Option<Record> = serde_json::from_slice(&entry.value).ok();
        let free = record.as_ref().is_none_or(|record| record.released);
        let since = match *watched {
            Some((revision, since)) if revision == entry.revision => since,
            _ => watched.insert((entry.revision, Instant::now())).1,
        };
        if !free && since.elapsed() < self.length || !readiness.is_ready().await {
            return Ok(None);
        }
        let epoch = record.map_or(entry.revision, |record| record.epoch) + 1;
        match self.store.update(&self.key, self.record(epoch, false), entry.revision).await {
            Ok(revision) => Ok(Some((revision, epoch))),
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => Ok(None),
            Err(error) => Err(LeaseError(error.into())),
        }
    }

    fn hold(&self, revision: u64, epoch: u64, asked: Instant) -> Lease {
        let lease = Lease {
            epoch,
            writer: rand::random(),
            valid_until: Arc::new(Mutex::new(asked + self.length)),
            lost: CancellationToken::new(),
        };
        let keeper = Keeper {
            store: self.store.clone(),
            key: self.key.clone(),
            holder: self.holder.clone(),
            length: self.length,
            lease: lease.clone(),
        };
        tokio::spawn(keeper.run(revision));
        lease
    }

    fn record(&self, epoch: u64, released: bool) -> bytes::Bytes {
        encode(epoch, &self.holder, released)
    }
}

/// How an attempt to renew ended.
enum Renewal {
    Renewed,
    /// No answer, or one that leaves it open; tried again while the lease lasts.
    Unclear,
    TakenOver,
}

struct Keeper {
    store: Store,
    key: String,
    holder: String,
    length: Duration,
    lease: Lease,
}

impl Keeper {
    async fn run(self, mut revision: u64) {
        let (usual, soon) = (self.length / 3, self.length / 20);
        let mut pause = usual;
        loop {
            tokio::select! {
                () = self.lease.lost() => break,
                () = sleep_until(self.lease.valid_until()) => break,
                () = sleep(pause) => {}
            }
            // One lost answer must leave time for another try.
            let asked = Instant::now();
            let deadline = self.lease.valid_until().min(asked + self.length / 4);
            match timeout_at(deadline, self.renew(&mut revision)).await {
                Ok(Renewal::Renewed) => {
                    self.lease.extend(asked + self.length);
                    pause = usual;
                }
                Ok(Renewal::Unclear) | Err(_) => pause = soon,
                Ok(Renewal::TakenOver) => break,
            }
        }
        if !self.lease.lost.is_cancelled() {
            tracing::warn!(key = self.key, epoch = self.lease.epoch, "the lease is lost");
        }
        self.lease.give_up();
        // Lets the next holder start at once. If it fails or is late, the lease runs out by itself.
        let released = encode(self.lease.epoch, &self.holder, true);
        if let Err(error) = self.store.update(&self.key, released, revision).await {
            tracing::debug!(key = self.key, %error, "the lease was not released");
        }
    }

    async fn renew(&self, revision: &mut u64) -> Renewal {
        let record = encode(self.lease.epoch, &self.holder, false);
        match self.store.update(&self.key, record, *revision).await {
            Ok(next) => {
                *revision = next;
                Renewal::Renewed
            }
            // Either somebody took over, or a renewal of ours was written whose ack was lost.
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => {
                match self.store.entry(&self.key).await {
                    Ok(Some(entry)) if self.is_own(&entry.value) => {
                        *revision = entry.revision;
                        Renewal::Unclear
                    }
                    Ok(_) => Renewal::TakenOver,
                    Err(_) => Renewal::Unclear,
                }
            }
            Err(error) => {
                tracing::warn!(key = self.key, %error, "cannot renew the lease");
                Renewal::Unclear
            }
        }
    }

    /// Returns true if the value is that of this lease.
    fn is_own(&self, value: &[u8]) -> bool {
        serde_json::from_slice::<Record>(value).is_ok_and(|record| {
            record.epoch == self.lease.epoch && record.holder == self.holder && !record.released
        })
    }
}

fn encode(epoch: u64, holder: &str, released: bool) -> bytes::Bytes {
    let record = Record { epoch, holder: holder.to_owned(), released };
    // A struct of a number, a text and a flag always serialises.
    serde_json::to_vec(&record).unwrap_or_default().into()
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct LeaseError(#[source] async_nats::Error);
