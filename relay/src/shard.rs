//! One shard: follows the log and the journal while another relay writes them, and writes them itself while it holds
//! the lease.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use floodgate_event::{subject, time};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::append::AppendError;
use crate::books::{Bookkeeper, RegionStreams};
use crate::dedup::ledger::{Feed, Ledger, LedgerError};
use crate::destination::{Gone, Routes};
use crate::forward::{self, DeliveryIndex, ForwardContext, ForwardError, ForwardMetrics, SsrfGuard};
use crate::lease::{Contender, Lease};
use crate::metrics::ReplicationMetrics;
use crate::progress::Progress;
use crate::replicate::feed::FeedReader;
use crate::replicate::purge::Purger;
use crate::replicate::takeover;
use crate::replicate::writer::{WriteError, Writer};

/// Regional messages waiting for the writer.
const WRITER_INBOX: usize = 16;
/// How often it is looked whether a day of the ledger can go.
const DAYS_EVERY: Duration = Duration::from_secs(600);
/// Wait before the lease bucket is looked for again, and between two terms.
const PAUSE: Duration = Duration::from_secs(1);

/// What one shard needs.
pub(crate) struct Shard {
    pub(crate) shard: u32,
    pub(crate) shards: u32,
    pub(crate) relay: String,
    pub(crate) centre: Context,
    pub(crate) regions: Vec<RegionStreams>,
    pub(crate) lease_length: Duration,
    pub(crate) window_days: u32,
    pub(crate) history_kept: Duration,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) deliveries: Arc<DeliveryIndex>,
    pub(crate) books: Arc<Bookkeeper>,
    pub(crate) progress: Progress,
    pub(crate) feeds: Vec<Feed>,
    pub(crate) routes: watch::Receiver<Arc<Routes>>,
    pub(crate) disable: mpsc::Sender<Gone>,
    pub(crate) guard: SsrfGuard,
    pub(crate) max_held: u64,
    pub(crate) may_write: watch::Sender<bool>,
    pub(crate) replication_metrics: ReplicationMetrics,
    pub(crate) forward_metrics: ForwardMetrics,
    pub(crate) shutdown: CancellationToken,
}

impl Shard {
    /// Runs until shutdown.
    ///
    /// # Errors
    /// If this host's disk fails.
    pub(crate) async fn run(self) -> Result<(), ShardError> {
        let shutdown = self.shutdown.clone();
        let Some(contender) = shutdown.run_until_cancelled(self.contender()).await else { return Ok(()) };
        loop {
            match shutdown.run_until_cancelled(takeover::check(&self.centre, self.shard, &self.ledger)).await
            {
                None => break,
                Some(checked) => checked?,
            }
            let Some(lease) = self.stand_by(&contender).await? else { break };
            let term = self.write(&lease).await;
            lease.give_up();
            term?;
            if shutdown.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
                break;
            }
        }
        self.ledger.persist()?;
        Ok(())
    }

    async fn contender(&self) -> Contender {
        loop {
            match self.centre.get_key_value(subject::LEASE_BUCKET).await {
                Ok(store) => return Contender::new(store, self.shard, self.relay.clone(), self.lease_length),
                Err(error) => tracing::warn!(shard = self.shard, %error, "cannot find the lease bucket"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Follows whoever writes until the lease is this process's. `None` on shutdown.
    async fn stand_by(&self, contender: &Contender) -> Result<Option<Lease>, ShardError> {
        let follow_journal = forward::follow(
            self.centre.clone(),
            self.shard,
            Arc::clone(&self.deliveries),
            self.forward_metrics.clone(),
            self.shutdown.clone(),
        );
        tokio::select! {
            lease = contender.acquire(&self.shutdown) => Ok(lease),
            followed = takeover::follow(&self.centre, self.shard, &self.ledger) => {
                Err(followed.err().map_or(ShardError::Ended, ShardError::from))
            }
            followed = follow_journal => match followed {
                // It only ends by itself on shutdown.
                Ok(()) => Ok(None),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// One term as the writer: until the lease is lost or shutdown.
    async fn write(&self, lease: &Lease) -> Result<(), ShardError> {
        let taken = takeover::take_over(&self.centre, self.shard, lease, &self.relay, &self.ledger).await;
        let appender = match taken {
            Ok(appender) => appender,
            Err(WriteError::Append(AppendError::Superseded)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        self.announce(true);
        let (work, inbox) = mpsc::channel(WRITER_INBOX);
        let mut tasks = self.start_feeds(&work);
        drop(work);
        let metrics = self.replication_metrics.clone();
        let ledger = Arc::clone(&self.ledger);
        let writer = Writer::new(self.centre.clone(), self.shard, lease.clone(), appender, ledger, metrics);
        let ended = tokio::select! {
            ended = writer.run(inbox) => settle(ended, lease),
            ended = forward::run(self.forwarding(lease)) => ended.map_err(ShardError::from),
            ended = self.drop_days() => Err(ended),
        };
        self.announce(false);
        tasks.shutdown().await;
        ended
    }

    fn start_feeds(&self, work: &mpsc::Sender<crate::replicate::writer::Work>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let mut cursors = self.ledger.cut().cursors;
        for region in &self.regions {
            for feed in self.feeds.iter().filter(|feed| feed.region == region.name.as_str()) {
                let reader = FeedReader {
                    context: region.context.clone(),
                    feed: feed.clone(),
                    shard: self.shard,
                    shards: self.shards,
                    cursor: cursors.remove(feed).unwrap_or_default(),
                    writer: work.clone(),
                    progress: self.progress.clone(),
                    metrics: self.replication_metrics.clone(),
                };
                tasks.spawn(reader.run());
            }
        }
        let purger = Purger {
            shard: self.shard,
            regions: self.regions.clone(),
            ledger: Arc::clone(&self.ledger),
            books: Arc::clone(&self.books),
            writer: work.clone(),
            kept: self.history_kept,
        };
        tasks.spawn(purger.run());
        tasks
    }

    fn forwarding(&self, lease: &Lease) -> ForwardContext {
        ForwardContext {
            jetstream: self.centre.clone(),
            shard: self.shard,
            relay: self.relay.clone(),
            lease: lease.clone(),
            routes: self.routes.clone(),
            index: Arc::clone(&self.deliveries),
            disable: self.disable.clone(),
            guard: self.guard.clone(),
            max_held: self.max_held,
            metrics: self.forward_metrics.clone(),
            shutdown: self.shutdown.clone(),
        }
    }

    /// Drops the ledger's days that no copy can come from any more: every region must be replicated past the day and
    /// the window.
    async fn drop_days(&self) -> ShardError {
        loop {
            tokio::time::sleep(DAYS_EVERY).await;
            let through = time::unix_day(self.progress.through_us(&self.feeds));
            let oldest = through.saturating_sub(self.window_days);
            if let Err(error) = tokio::task::block_in_place(|| self.ledger.drop_days_before(oldest)) {
                return error.into();
            }
        }
    }

    /// The relay that writes shard 0 also brings the configuration to the regions.
    fn announce(&self, writes: bool) {
        self.replication_metrics.writing(self.shard, writes);
        if self.shard == 0 {
            self.may_write.send_replace(writes);
        }
    }
}

/// A writer that was superseded stands down; anything else is this host's fault.
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
    /// The ledger's disk.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The writer.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Forwarding.
    #[error(transparent)]
    Forward(#[from] ForwardError),
    /// The log's sequences ran out.
    #[error("following the log ended")]
    Ended,
}
