//! One term as the writer of a shard's journal: takes over from the writer before, starts the tasks that
//! deliver, and stops them.
//!
//! A term begins with a fence in the journal. From then on, nothing that an earlier writer still has in
//! flight can be appended. The index then reads the journal up to the fence, so that it holds everything
//! that was done before.

use std::sync::Arc;

use async_nats::HeaderMap;
use floodgate_event::proto::{Continued, Fence, Record, record};
use floodgate_event::{Lane, subject};
use floodgate_routes::{Announce, Superseded};
use floodgate_stream::append::{Append, AppendError, FencedAppender};
use floodgate_stream::lease::Lease;
use floodgate_stream::reader::StreamReader;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::context::Shard;
use super::events::CentralLog;
use super::follow::JournalReader;
use super::journal::{BlockEncoder, Recorder, Writer};
use super::matching::LaneReader;
use super::send::Transport;
use super::{DispatchError, Dispatcher, workers};

/// The journal, once no earlier writer can append to it.
pub(super) struct FencedJournal {
    recorder: Recorder,
    writer: Writer,
    /// The sequence of this writer's fence.
    fence: u64,
}

/// Takes over the journal, and then matching: no event may be matched by an earlier revision than one that
/// was confirmed before this term.
pub(super) async fn take_over<A: Announce>(
    dispatcher: &Dispatcher<A>,
) -> Result<FencedJournal, DispatchError> {
    let mut journal = fence_journal(dispatcher).await?;
    name_log(dispatcher, &mut journal.writer).await?;
    let mut announcer = dispatcher.announcer.clone();
    match announcer.claim(journal.fence, &dispatcher.lease).await {
        Ok(()) => Ok(journal),
        Err(Superseded) => Err(AppendError::Superseded.into()),
    }
}

/// Appends a fence, so that the server refuses whatever an earlier writer has in flight, and then folds all
/// that earlier writers appended into the index.
async fn fence_journal<A>(dispatcher: &Dispatcher<A>) -> Result<FencedJournal, DispatchError> {
    let Dispatcher { jetstream, shard, lease, index, metrics, .. } = dispatcher;
    let stream = subject::journal_stream(*shard);
    let encoder = BlockEncoder::new(lease, *shard);
    let fence = record::Record::Fence(Fence { holder: dispatcher.relay.clone() });
    let (_, payload) = encoder.encode(vec![Record { record: Some(fence) }]);
    let fence = Append { subject: subject::journal_fence(*shard), headers: HeaderMap::new(), payload };
    let appender = FencedAppender::open(jetstream.clone(), stream, lease.clone(), fence).await?;
    let fence = appender.last_sequence();

    let (jetstream, shard) = (jetstream.clone(), *shard);
    let reader = JournalReader { jetstream, shard, index: Arc::clone(index), metrics: metrics.clone() };
    reader.catch_up_to(fence).await?;
    let (recorder, writer) = Recorder::new(appender, Arc::clone(index), encoder, metrics.clone());
    Ok(FencedJournal { recorder, writer, fence })
}

/// Records which log the journal's next records are about, before anything is read from that log. If the
/// earlier log was lost and an operator accepted the loss, this discards the deliveries of the lost part.
async fn name_log<A>(dispatcher: &Dispatcher<A>, writer: &mut Writer) -> Result<(), DispatchError> {
    let (known, log) = (dispatcher.index.log()?, dispatcher.log.identity());
    if known != log {
        let through = dispatcher.log.valid_through(&known);
        tracing::info!(shard = dispatcher.shard.get(), log, through, "the journal continues with this log");
        let continued = record::Record::Continued(Continued { log, through });
        writer.write(vec![Record { record: Some(continued) }]).await?;
    }
    Ok(())
}

/// The tasks of a term. Dropping this aborts them.
pub(super) struct Tasks {
    writer: JoinSet<Result<(), DispatchError>>,
    /// One for each lane, and the announcer.
    readers: JoinSet<()>,
    workers: JoinSet<Result<(), DispatchError>>,
    lease: Lease,
    shutdown: CancellationToken,
    stop: CancellationToken,
}

impl Tasks {
    pub(super) fn start<A: Announce>(
        dispatcher: Dispatcher<A>,
        journal: FencedJournal,
    ) -> Result<Self, DispatchError> {
        let FencedJournal { recorder, writer, fence } = journal;
        let transport = Transport::new(dispatcher.guard.clone(), dispatcher.clock.clone())?;
        let log_stream = subject::log_stream(dispatcher.shard);
        let log = Arc::new(CentralLog::new(dispatcher.jetstream.clone(), log_stream));
        let mut tasks = Self {
            writer: JoinSet::new(),
            readers: JoinSet::new(),
            workers: JoinSet::new(),
            lease: dispatcher.lease.clone(),
            shutdown: dispatcher.shutdown.clone(),
            stop: CancellationToken::new(),
        };
        tasks.writer.spawn(writer.run());
        tasks.readers.spawn(dispatcher.announcer.clone().follow(fence, dispatcher.lease.clone()));
        for lane in Lane::ALL {
            let reader = lane_reader(&dispatcher, lane, recorder.clone(), Arc::clone(&log))?;
            tasks.readers.spawn(async move {
                // Closed means that the writer ended. Its own result says why.
                let _ = reader.run().await;
            });
        }
        let shard = Arc::new(Shard {
            index: dispatcher.index,
            journal: recorder,
            log,
            clock: dispatcher.clock,
            lease: dispatcher.lease,
            number: dispatcher.shard,
            max_held: dispatcher.max_held,
            routes: dispatcher.routes.clone(),
            disable: dispatcher.disable,
            metrics: dispatcher.metrics,
            stop: tasks.stop.clone(),
        });
        tasks.workers.spawn(workers::run(shard, transport, dispatcher.routes));
        Ok(tasks)
    }

    /// Waits until the lease is lost, `shutdown` is cancelled or a task fails.
    pub(super) async fn run(mut self) -> Result<(), DispatchError> {
        let ended = tokio::select! {
            () = self.lease.lost() => Ok(()),
            () = self.shutdown.cancelled() => return self.drain().await,
            ended = join(&mut self.writer) => ended,
            ended = join(&mut self.workers) => ended,
        };
        // What is still in flight cannot be recorded any more.
        self.stop.cancel();
        ended
    }

    /// Lets attempts in flight finish, and the writer record them.
    async fn drain(mut self) -> Result<(), DispatchError> {
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
    dispatcher: &Dispatcher<A>,
    lane: Lane,
    journal: Recorder,
    log: Arc<CentralLog>,
) -> Result<LaneReader, DispatchError> {
    let shard = dispatcher.shard;
    let from = dispatcher.index.cursor(lane)? + 1;
    let (stream, filter) = (subject::log_stream(shard), subject::log(shard, lane));
    let reader = StreamReader::new(dispatcher.jetstream.clone(), stream, filter, from);
    let (routes, metrics) = (dispatcher.routes.clone(), dispatcher.metrics.clone());
    Ok(LaneReader { lane, shard, reader, routes, journal, log, metrics })
}

/// Waits for the only task of a set.
async fn join(tasks: &mut JoinSet<Result<(), DispatchError>>) -> Result<(), DispatchError> {
    match tasks.join_next().await {
        Some(ended) => ended?,
        None => Ok(()),
    }
}
