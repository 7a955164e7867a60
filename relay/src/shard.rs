//! Runs one shard: follows its log and its journal while another relay writes them, and writes them itself
//! while this process holds the lease.

use std::sync::Arc;
use std::time::Duration;

use floodgate_control::Announcer;
use floodgate_deliver::{DeliveryIndex, DeliveryMetrics, DispatchError, Dispatcher};
use floodgate_egress::SsrfGuard;
use floodgate_event::{ShardId, subject};
use floodgate_replicate::dedup::ledger::LedgerError;
use floodgate_replicate::log::{ShardLog, WriteError};
use floodgate_replicate::replicator::Replicator;
use floodgate_routes::{Gone, Routes};
use floodgate_stream::append::AppendError;
use floodgate_stream::lease::{Contender, Lease};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::central::ShardStreams;
use crate::readiness::Standby;

/// How often the ledger's size is reported.
const REPORT_EVERY: Duration = Duration::from_secs(60);
/// The pause before the lease bucket is looked up again, and between two terms.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs one shard in this process.
pub(crate) struct Runner {
    /// This relay's name, in leases and fences.
    pub(crate) relay: String,
    /// How long a silent writer keeps the lease.
    pub(crate) lease_length: Duration,
    pub(crate) replicator: Replicator,
    pub(crate) delivery: Delivery,
    /// Tells whether the shard's log or journal is lost.
    pub(crate) streams: ShardStreams,
    /// True while this relay writes shard 0, and so distributes the configuration.
    pub(crate) may_write: watch::Sender<bool>,
    pub(crate) shutdown: CancellationToken,
}

/// What the delivery of one shard's events needs, on standby and as the writer.
pub(crate) struct Delivery {
    pub(crate) index: Arc<DeliveryIndex>,
    pub(crate) routes: watch::Receiver<Arc<Routes>>,
    pub(crate) announcer: Announcer,
    /// Takes the destinations that answered 410, to be disabled.
    pub(crate) disable: mpsc::Sender<Gone>,
    pub(crate) guard: SsrfGuard,
    /// The most deliveries of this shard that are kept for a destination while it is held.
    pub(crate) max_held: u64,
    pub(crate) metrics: DeliveryMetrics,
}

impl Runner {
    /// Runs the shard until shutdown.
    ///
    /// # Errors
    /// If this host's disk fails.
    pub(crate) async fn run(self) -> Result<(), ShardError> {
        tokio::select! {
            ended = self.take_turns() => ended,
            failed = self.report() => Err(failed),
        }
    }

    /// Reports the size of the ledger, on standby and as the writer. Returns only if it cannot be read.
    async fn report(&self) -> ShardError {
        loop {
            let ShardLog { shard, ledger, .. } = self.log();
            match ledger.disk_bytes() {
                Ok(bytes) => self.replicator.metrics.ledger(*shard, ledger.days(), bytes),
                Err(error) => return error.into(),
            }
            tokio::time::sleep(REPORT_EVERY).await;
        }
    }

    fn log(&self) -> &ShardLog {
        &self.replicator.log
    }

    async fn take_turns(&self) -> Result<(), ShardError> {
        let shutdown = self.shutdown.clone();
        let Some(contender) = shutdown.run_until_cancelled(self.contender()).await else { return Ok(()) };
        loop {
            let ready = async {
                // A log that is not the recorded one must neither be folded nor written.
                self.streams.until_sound().await;
                self.log().check().await
            };
            match shutdown.run_until_cancelled(ready).await {
                None => break,
                Some(checked) => checked?,
            }
            let stood_by = tokio::select! {
                stood_by = self.stand_by(&contender) => stood_by?,
                () = self.streams.lost() => continue,
            };
            let Some(lease) = stood_by else { break };
            let term = tokio::select! {
                term = self.write(&lease) => term,
                () = self.streams.lost() => Ok(()),
            };
            self.announce(false);
            lease.give_up();
            term?;
            if shutdown.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
                break;
            }
        }
        self.log().ledger.persist()?;
        Ok(())
    }

    async fn contender(&self) -> Contender {
        let ShardLog { centre, shard, .. } = self.log();
        loop {
            match centre.get_key_value(subject::LEASE_BUCKET).await {
                Ok(store) => return Contender::new(store, *shard, self.relay.clone(), self.lease_length),
                Err(error) => tracing::warn!(shard = shard.get(), %error, "cannot find the lease bucket"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Follows the log and the journal until this process has the lease. `None` on shutdown.
    async fn stand_by(&self, contender: &Contender) -> Result<Option<Lease>, ShardError> {
        let ShardLog { centre, shard, ledger, .. } = self.log();
        let index = &self.delivery.index;
        let follow_journal = floodgate_deliver::follow(
            centre.clone(),
            *shard,
            Arc::clone(index),
            self.delivery.metrics.clone(),
            self.shutdown.clone(),
        );
        let standby = Standby::new(centre.clone(), *shard, Arc::clone(ledger), Arc::clone(index));
        tokio::select! {
            lease = contender.acquire_when(&standby, &self.shutdown) => Ok(lease),
            followed = self.log().follow() => {
                Err(followed.err().map_or(ShardError::Ended, ShardError::from))
            }
            followed = follow_journal => match followed {
                // It ends without an error only on shutdown.
                Ok(()) => Ok(None),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// One term as the writer: until the lease is lost or shutdown.
    async fn write(&self, lease: &Lease) -> Result<(), ShardError> {
        let appender = match self.log().take_over(lease, &self.relay).await {
            Ok(appender) => appender,
            Err(WriteError::Append(AppendError::Superseded)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        self.announce(true);
        let (writer, mut tasks) = self.replicator.start(lease, appender);
        let ended = tokio::select! {
            ended = writer => settle(ended, lease),
            ended = self.dispatcher(lease).run() => ended.map_err(ShardError::from),
        };
        self.announce(false);
        tasks.shutdown().await;
        ended
    }

    fn dispatcher(&self, lease: &Lease) -> Dispatcher<Announcer> {
        let (log, delivery) = (self.log(), &self.delivery);
        Dispatcher {
            jetstream: log.centre.clone(),
            shard: log.shard,
            relay: self.relay.clone(),
            lease: lease.clone(),
            routes: delivery.routes.clone(),
            announcer: delivery.announcer.clone(),
            clock: log.clock.clone(),
            index: Arc::clone(&delivery.index),
            log: self.streams.log(),
            disable: delivery.disable.clone(),
            guard: delivery.guard.clone(),
            max_held: delivery.max_held,
            metrics: delivery.metrics.clone(),
            shutdown: self.shutdown.clone(),
        }
    }

    /// Records whether this process writes the shard. The relay that writes the first shard also distributes
    /// the configuration.
    fn announce(&self, writes: bool) {
        let shard = self.log().shard;
        self.replicator.metrics.writing(shard, writes);
        if shard == ShardId::FIRST {
            self.may_write.send_replace(writes);
        }
    }
}

/// A writer that was superseded ends its term. Any other failure is this host's fault.
fn settle(ended: Result<(), WriteError>, lease: &Lease) -> Result<(), ShardError> {
    lease.give_up();
    match ended {
        Ok(()) => Ok(()),
        Err(WriteError::Append(AppendError::Superseded)) => {
            tracing::warn!("another relay writes the log: standing down");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Why a shard stopped. All of it is this host's fault.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// The ledger cannot be read or written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The log cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Deliveries cannot be made or recorded.
    #[error(transparent)]
    Dispatch(#[from] DispatchError),
    /// The log has no more sequences: a stream has 2^64 of them.
    #[error("following the log ended")]
    Ended,
}
