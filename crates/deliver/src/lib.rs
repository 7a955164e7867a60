//! Forwarding: takes stored events from the central log to the consumers that subscribed to them.
//!
//! ```text
//! log ─▶ lane ─┐                        ┌─▶ feed ─▶ worker ─▶ attempt ─▶ courier ─▶ consumer
//!              ├─▶ journal ─▶ index ────┤                        │
//!              └───────◀────────────────┴────── outcome ◀────────┘
//! ```
//!
//! The journal is the truth. What a lane matched and how each attempt ended is appended there first, by
//! one writer, and folded into the index; workers find their deliveries in the index only.
//! So a crash anywhere leaves a journal that says what remains to be done:
//! at worst an attempt whose outcome was not recorded is repeated, under the same `webhook-id`.

mod attempt;
mod backlog;
mod courier;
mod discard;
mod feed;
mod follow;
pub mod index;
mod journal;
mod lane;
mod log;
pub mod metrics;
mod outcome;
mod request;
mod waiting;
mod worker;
mod workers;

use std::sync::Arc;

use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use floodgate_event::proto::{Continued, Fence, Record, record};
use floodgate_event::{Lane, subject};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use backlog::measure;
pub use follow::follow;
pub use index::DeliveryIndex;
pub use metrics::ForwardMetrics;

use attempt::Desk;
use courier::Dispatch;
use floodgate_clock::Clock;
use floodgate_egress::SsrfGuard;
use floodgate_routes::{Announce, Gone, Routes, Superseded};
use floodgate_stream::append::{Append, AppendError, FencedAppender};
use floodgate_stream::central::Noted;
use floodgate_stream::lease::Lease;
use floodgate_stream::reader::StreamReader;
use follow::Follower;
use journal::{Journal, Stamp, Writer};
use lane::LaneReader;
use log::Log;

/// What forwarding one shard needs.
pub struct ForwardContext<A> {
    /// The centre's JetStream.
    pub jetstream: Context,
    /// Which shard.
    pub shard: u32,
    /// The relay's name, written into the fence for people to read.
    pub relay: String,
    /// The right to write the shard's journal. Must outlive `shutdown` by the drain, or attempts that finish
    /// during it cannot be recorded.
    pub lease: Lease,
    /// Destinations, as they are now.
    pub routes: watch::Receiver<Arc<Routes>>,
    /// Says by which revision events are matched.
    pub announcer: A,
    /// The relay's time: what is due goes by it.
    pub clock: Clock,
    /// The shard's index.
    pub index: Arc<DeliveryIndex>,
    /// What is noted of the shard's log.
    pub log: Noted,
    /// Takes the destinations that answered 410, to be disabled.
    pub disable: mpsc::Sender<Gone>,
    /// Which addresses may be reached.
    pub guard: SsrfGuard,
    /// The most deliveries of this shard that are held for a destination.
    pub max_held: u64,
    /// Shared by all shards.
    pub metrics: ForwardMetrics,
    /// Ends it: nothing new begins, and what is under way has 10 seconds.
    pub shutdown: CancellationToken,
}

/// Forwards a shard's events until the lease is lost or `shutdown`.
///
/// # Errors
/// If this host fails: the index's disk, its TLS set-up. Consumers and NATS are waited for.
pub async fn run<A: Announce>(context: ForwardContext<A>) -> Result<(), ForwardError> {
    let (lease, shutdown) = (context.lease.clone(), context.shutdown.clone());
    let opened = tokio::select! {
        () = lease.lost() => return Ok(()),
        () = shutdown.cancelled() => return Ok(()),
        opened = open(&context) => opened,
    };
    let ended = match opened {
        Ok(opened) => Crew::start(context, opened)?.work().await,
        Err(error) => Err(error),
    };
    match ended {
        // Somebody else writes: for this process, that is the same as losing the lease.
        Err(ForwardError::Append(AppendError::Superseded)) => {
            lease.give_up();
            Ok(())
        }
        ended => ended,
    }
}

/// What a term begins with.
struct Opened {
    journal: Journal,
    writer: Writer,
    /// The sequence of this writer's fence.
    fence: u64,
}

/// Takes over the journal, then matching: no event may be matched by less than what was
/// confirmed before this term.
async fn open<A: Announce>(context: &ForwardContext<A>) -> Result<Opened, ForwardError> {
    let Opened { journal, writer, fence } = open_journal(context).await?;
    let writer = follow_log(context, writer).await?;
    let mut announcer = context.announcer.clone();
    match announcer.claim(fence, &context.lease).await {
        Ok(()) => Ok(Opened { journal, writer, fence }),
        Err(Superseded) => Err(AppendError::Superseded.into()),
    }
}

/// Takes over the journal: a fence, so that whatever an earlier writer has under way is refused, then all
/// that it wrote into the index.
async fn open_journal<A>(context: &ForwardContext<A>) -> Result<Opened, ForwardError> {
    let ForwardContext { jetstream, shard, lease, index, metrics, .. } = context;
    let stream = subject::journal_stream(*shard);
    let stamp = Stamp::new(lease, *shard);
    let fence = record::Record::Fence(Fence { holder: context.relay.clone() });
    let (_, payload) = stamp.seal(vec![Record { record: Some(fence) }]);
    let fence = Append { subject: subject::journal_fence(*shard), headers: HeaderMap::new(), payload };
    let appender = FencedAppender::open(jetstream.clone(), stream, lease.clone(), fence).await?;
    let fence = appender.last_sequence();

    let (jetstream, shard) = (jetstream.clone(), *shard);
    Follower { jetstream, shard, index: Arc::clone(index), metrics: metrics.clone() }.up_to(fence).await?;
    let (journal, writer) = Journal::new(appender, Arc::clone(index), stamp, metrics.clone());
    Ok(Opened { journal, writer, fence })
}

/// Tells the journal which log its records are about, before anything is read from that.
/// Where the log before was lost, and somebody accepted it, that voids what is journaled of the lost part.
async fn follow_log<A>(context: &ForwardContext<A>, mut writer: Writer) -> Result<Writer, ForwardError> {
    let (known, log) = (context.index.log()?, context.log.identity());
    if known != log {
        let through = context.log.stands_through(&known);
        tracing::info!(shard = context.shard, log, through, "the journal goes on with this log");
        let continued = record::Record::Continued(Continued { log, through });
        writer.write(vec![Record { record: Some(continued) }]).await?;
    }
    Ok(writer)
}

/// The tasks that forward a shard. Dropped, they are cut off.
struct Crew {
    writer: JoinSet<Result<(), ForwardError>>,
    readers: JoinSet<()>,
    workers: JoinSet<Result<(), ForwardError>>,
    lease: Lease,
    shutdown: CancellationToken,
    stop: CancellationToken,
}

impl Crew {
    fn start<A: Announce>(context: ForwardContext<A>, opened: Opened) -> Result<Self, ForwardError> {
        let Opened { journal, writer, fence } = opened;
        let dispatch = Dispatch::new(context.guard.clone(), context.clock.clone())?;
        let log = Arc::new(Log::new(context.jetstream.clone(), subject::log_stream(context.shard)));
        let mut crew = Self {
            writer: JoinSet::new(),
            readers: JoinSet::new(),
            workers: JoinSet::new(),
            lease: context.lease.clone(),
            shutdown: context.shutdown.clone(),
            stop: CancellationToken::new(),
        };
        crew.writer.spawn(writer.run());
        crew.readers.spawn(context.announcer.clone().follow(fence, context.lease.clone()));
        for lane in Lane::ALL {
            let reader = lane_reader(&context, lane, journal.clone(), Arc::clone(&log))?;
            crew.readers.spawn(async move {
                // Closed means that the writer ended, which says why itself.
                let _ = reader.run().await;
            });
        }
        let desk = Arc::new(Desk {
            index: context.index,
            journal,
            log,
            clock: context.clock,
            lease: context.lease,
            shard: context.shard,
            max_held: context.max_held,
            routes: context.routes.clone(),
            disable: context.disable,
            metrics: context.metrics,
            stop: crew.stop.clone(),
        });
        crew.workers.spawn(workers::run(desk, dispatch, context.routes));
        Ok(crew)
    }

    async fn work(mut self) -> Result<(), ForwardError> {
        let ended = tokio::select! {
            () = self.lease.lost() => Ok(()),
            () = self.shutdown.cancelled() => return self.drain().await,
            ended = join(&mut self.writer) => ended,
            ended = join(&mut self.workers) => ended,
        };
        // Nothing that is still under way could be recorded.
        self.stop.cancel();
        ended
    }

    /// Lets attempts finish, and the writer record them.
    async fn drain(mut self) -> Result<(), ForwardError> {
        self.stop.cancel();
        self.readers.shutdown().await;
        let finish = async {
            join(&mut self.workers).await?;
            join(&mut self.writer).await
        };
        tokio::select! {
            () = self.lease.lost() => Ok(()),
            finished = finish => finished,
        }
    }
}

fn lane_reader<A>(
    context: &ForwardContext<A>,
    lane: Lane,
    journal: Journal,
    log: Arc<Log>,
) -> Result<LaneReader, ForwardError> {
    let shard = context.shard;
    let from = context.index.cursor(lane)? + 1;
    let (stream, filter) = (subject::log_stream(shard), subject::log(shard, lane));
    let reader = StreamReader::new(context.jetstream.clone(), stream, filter, from);
    let (routes, metrics) = (context.routes.clone(), context.metrics.clone());
    Ok(LaneReader { lane, shard, reader, routes, journal, log, metrics })
}

/// Waits for the one task of a set.
async fn join(tasks: &mut JoinSet<Result<(), ForwardError>>) -> Result<(), ForwardError> {
    match tasks.join_next().await {
        Some(ended) => ended?,
        None => Ok(()),
    }
}

/// Why forwarding ended. All of it is this host's fault; none of it is a consumer's.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The index cannot be used. Begin anew: it is level with the journal then, or rebuilt.
    #[error(transparent)]
    Index(#[from] index::IndexError),
    /// Nothing can be appended to the journal.
    #[error("the journal cannot be written")]
    Append(#[from] AppendError),
    /// No TLS client can be set up.
    #[error("cannot set up TLS for deliveries")]
    Tls(#[from] rustls::Error),
    /// No HTTP client can be set up.
    #[error("cannot set up an HTTP client for deliveries")]
    Client(#[from] reqwest::Error),
    /// A task broke down: a bug.
    #[error("a forwarding task broke down")]
    Task(#[from] tokio::task::JoinError),
}
