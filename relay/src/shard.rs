//! One shard: follows the log and the journal while another relay writes them, and writes them
//! itself while it holds the lease.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use floodgate_clock::Clock;
use floodgate_control::routed::Announcer;
use floodgate_deliver::{DeliveryIndex, ForwardContext, ForwardError, ForwardMetrics};
use floodgate_egress::SsrfGuard;
use floodgate_event::{LogRate, subject};
use floodgate_replicate::books::{Bookkeeper, RegionStreams};
use floodgate_replicate::dedup::ledger::{Feed, Ledger, LedgerError};
use floodgate_replicate::feed::{FeedReader, LOOK_EVERY};
use floodgate_replicate::forget::Forgetter;
use floodgate_replicate::metrics::ReplicationMetrics;
use floodgate_replicate::progress::Progress;
use floodgate_replicate::purge::Purger;
use floodgate_replicate::takeover;
use floodgate_replicate::writer::{WriteError, Writer};
use floodgate_routes::{Gone, Routes};
use floodgate_stream::append::AppendError;
use floodgate_stream::lease::{Contender, Lease};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::central::ShardStreams;
use crate::warmth::Warmth;

/// Regional messages waiting for the writer.
const WRITER_INBOX: usize = 16;
/// How often the ledger's size is reported.
const REPORT_EVERY: Duration = Duration::from_secs(60);
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
    pub(crate) clock: Clock,
    pub(crate) feeds: Vec<Feed>,
    pub(crate) routes: watch::Receiver<Arc<Routes>>,
    pub(crate) announcer: Announcer,
    pub(crate) disable: mpsc::Sender<Gone>,
    pub(crate) guard: SsrfGuard,
    pub(crate) max_held: u64,
    pub(crate) may_write: watch::Sender<bool>,
    pub(crate) replication_metrics: ReplicationMetrics,
    pub(crate) forward_metrics: ForwardMetrics,
    /// Its log and its journal.
    pub(crate) streams: ShardStreams,
    pub(crate) shutdown: CancellationToken,
}

impl Shard {
    /// Runs until shutdown.
    ///
    /// # Errors
    /// If this host's disk fails.
    pub(crate) async fn run(self) -> Result<(), ShardError> {
        tokio::select! {
            ended = self.take_turns() => ended,
            failed = self.report() => Err(failed),
        }
    }

    /// Says how large the ledger is, whoever writes.
    async fn report(&self) -> ShardError {
        loop {
            match self.ledger.disk_bytes() {
                Ok(bytes) => self.replication_metrics.ledger(self.shard, self.ledger.days(), bytes),
                Err(error) => return error.into(),
            }
            tokio::time::sleep(REPORT_EVERY).await;
        }
    }

    async fn take_turns(&self) -> Result<(), ShardError> {
        let shutdown = self.shutdown.clone();
        let Some(contender) = shutdown.run_until_cancelled(self.contender()).await else { return Ok(()) };
        loop {
            let ready = async {
                // A log that is not the one that is known must not be folded or written.
                self.streams.until_sound().await;
                takeover::check(&self.centre, self.shard, &self.ledger).await
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
        let follow_journal = floodgate_deliver::follow(
            self.centre.clone(),
            self.shard,
            Arc::clone(&self.deliveries),
            self.forward_metrics.clone(),
            self.shutdown.clone(),
        );
        let (ledger, deliveries) = (Arc::clone(&self.ledger), Arc::clone(&self.deliveries));
        let warmth = Warmth::new(self.centre.clone(), self.shard, ledger, deliveries);
        tokio::select! {
            lease = contender.acquire_when(&warmth, &self.shutdown) => Ok(lease),
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
        let taken =
            takeover::take_over(&self.centre, self.shard, lease, &self.relay, &self.ledger, &self.clock)
                .await;
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
        let (shard, clock) = (self.shard, self.clock.clone());
        let writer = Writer::new(shard, lease.clone(), appender, ledger, clock, metrics);
        let ended = tokio::select! {
            ended = writer.run(inbox) => settle(ended, lease),
            ended = floodgate_deliver::run(self.forwarding(lease)) => ended.map_err(ShardError::from),
        };
        self.announce(false);
        tasks.shutdown().await;
        ended
    }

    fn start_feeds(&self, work: &mpsc::Sender<floodgate_replicate::writer::Work>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let mut cursors = self.ledger.cut().cursors;
        for region in &self.regions {
            for feed in self.feeds.iter().filter(|feed| feed.region == region.name.as_str()) {
                let reader = FeedReader {
                    context: region.context.clone(),
                    centre: self.centre.clone(),
                    feed: feed.clone(),
                    shard: self.shard,
                    shards: self.shards,
                    cursor: cursors.remove(feed).unwrap_or_default(),
                    writer: work.clone(),
                    progress: self.progress.clone(),
                    clock: self.clock.clone(),
                    look_every: LOOK_EVERY,
                    metrics: self.replication_metrics.clone(),
                    lines: LogRate::new(),
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
            clock: self.clock.clone(),
        };
        tasks.spawn(purger.run());
        let forgetter = Forgetter {
            ledger: Arc::clone(&self.ledger),
            progress: self.progress.clone(),
            feeds: self.feeds.clone(),
            window_days: self.window_days,
            clock: self.clock.clone(),
            writer: work.clone(),
        };
        tasks.spawn(forgetter.run());
        tasks
    }

    fn forwarding(&self, lease: &Lease) -> ForwardContext<Announcer> {
        ForwardContext {
            jetstream: self.centre.clone(),
            shard: self.shard,
            relay: self.relay.clone(),
            lease: lease.clone(),
            routes: self.routes.clone(),
            announcer: self.announcer.clone(),
            clock: self.clock.clone(),
            index: Arc::clone(&self.deliveries),
            log: self.streams.log(),
            disable: self.disable.clone(),
            guard: self.guard.clone(),
            max_held: self.max_held,
            metrics: self.forward_metrics.clone(),
            shutdown: self.shutdown.clone(),
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
