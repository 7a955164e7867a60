//! The one writer of a shard's central log: takes regional messages in, gives verdicts, appends, and lets the
//! ledger learn what is on disk.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use async_nats::HeaderMap;
use bytes::Bytes;
use floodgate_clock::Clock;
use floodgate_event::proto::log_block::Content as LogContent;
use floodgate_event::proto::{self, Forget, Incarnation, LogBlock, Purge};
use floodgate_event::{format, subject};
use floodgate_stream::append::{Append, AppendError, BATCH_APPENDS, BATCH_BYTES, FencedAppender};
use floodgate_stream::lease::Lease;
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};
use ulid::Ulid;

use super::stage::{Origin, Replicated};
use crate::dedup::claim::{Claimed, Deduplicator};
use crate::dedup::ledger::{Cursor, Feed, Ledger, LedgerError};
use crate::metrics::ReplicationMetrics;

/// Appends under way at once, those included that wait for the ones before them: two batches.
const WINDOW: usize = 2 * BATCH_APPENDS;
/// Bytes of them, from which on no more are taken.
const WINDOW_BYTES: usize = 2 * BATCH_BYTES;

/// What the writer is asked to do.
#[derive(Debug)]
pub enum Work {
    /// Copy a regional message; one that cannot be decoded is set aside already.
    Replicate(Replicated),
    /// Note that a region's stream began anew.
    Begin {
        /// The region and lane.
        feed: Feed,
        /// The incarnation that begins.
        current: String,
    },
    /// Note that a regional stream will be purged. Answered once that is on disk.
    Purge {
        /// What to note.
        purge: Purge,
        /// Where the answer goes.
        noted: oneshot::Sender<()>,
    },
    /// Have everybody drop ledger days.
    Forget {
        /// The first one that is kept.
        before_day: u32,
    },
}

/// Writes a shard's log while its lease lasts.
pub struct Writer {
    shard: u32,
    lease: Lease,
    appender: FencedAppender,
    deduplicator: Deduplicator,
    cursors: HashMap<Feed, Cursor>,
    in_flight: VecDeque<InFlight>,
    clock: Clock,
    appended_at_us: u64,
    metrics: ReplicationMetrics,
}

struct InFlight {
    payload: Bytes,
    block: LogBlock,
    noted: Option<oneshot::Sender<()>>,
}

impl Writer {
    /// Takes over from `ledger`, which must be folded up to the log's end.
    pub fn new(
        shard: u32,
        lease: Lease,
        appender: FencedAppender,
        ledger: Arc<Ledger>,
        clock: Clock,
        metrics: ReplicationMetrics,
    ) -> Self {
        let cut = ledger.cut();
        Self {
            shard,
            lease,
            appender,
            deduplicator: Deduplicator::new(ledger),
            cursors: cut.cursors,
            in_flight: VecDeque::new(),
            clock,
            appended_at_us: cut.checkpoint.map_or(0, |checkpoint| checkpoint.appended_at_us),
            metrics,
        }
    }

    /// Works until the lease is lost or everybody who could ask for work is gone.
    ///
    /// # Errors
    /// [`WriteError::Append`] if another writer took over; [`WriteError::Ledger`] if the ledger's disk fails.
    pub async fn run(mut self, mut work: mpsc::Receiver<Work>) -> Result<(), WriteError> {
        loop {
            let in_flight = self.appender.in_flight();
            let bytes: usize = self.in_flight.iter().map(|append| append.payload.len()).sum();
            let has_room = in_flight < WINDOW && bytes < WINDOW_BYTES && !self.appender.in_doubt();
            let has_time = self.clock.is_agreed();
            tokio::select! {
                biased;
                () = self.lease.lost() => return Ok(()),
                settled = self.appender.settle(), if in_flight > 0 => self.settled(settled?)?,
                () = self.clock.agreed(), if !has_time => {}
                work = work.recv(), if has_room && has_time => match work {
                    Some(work) => self.accept(work).await?,
                    None => return Ok(()),
                },
            }
        }
    }

    async fn accept(&mut self, work: Work) -> Result<(), WriteError> {
        match work {
            Work::Replicate(replicated) => self.replicate(replicated).await,
            Work::Begin { feed, current } => self.begin(feed, current).await,
            Work::Purge { purge, noted } => {
                let target = subject::log_control(self.shard);
                self.submit(target, HeaderMap::new(), LogContent::Purge(purge), Some(noted)).await
            }
            Work::Forget { before_day } => {
                let target = subject::log_control(self.shard);
                let forget = LogContent::Forget(Forget { before_day });
                self.submit(target, HeaderMap::new(), forget, None).await
            }
        }
    }

    async fn replicate(&mut self, replicated: Replicated) -> Result<(), WriteError> {
        if self.is_replicated(&replicated.origin) {
            return Ok(());
        }
        let sequence = self.appender.next_sequence();
        // Lookups may have to read from disk.
        let claimed = tokio::task::block_in_place(|| self.deduplicator.claim(replicated, sequence))?;
        self.append(claimed).await
    }

    /// A position that is in the log already is passed over before the ledger is asked:
    /// its events' verdicts stand.
    fn is_replicated(&self, origin: &Origin) -> bool {
        let cursor = self.cursors.get(&origin.feed);
        cursor.is_some_and(|at| at.incarnation == origin.incarnation && origin.sequence <= at.sequence)
    }

    async fn append(&mut self, claimed: Claimed) -> Result<(), WriteError> {
        let origin = claimed.origin();
        let mut headers = HeaderMap::new();
        headers.insert(subject::ORIGIN_HEADER, origin.to_header());
        headers.insert(subject::VERDICTS_HEADER, claimed.tallies().to_string());
        let cursor = Cursor { incarnation: origin.incarnation.clone(), sequence: origin.sequence };
        self.cursors.insert(origin.feed.clone(), cursor);
        self.metrics.replicated(&origin.feed, claimed.tallies());
        let target = subject::log(self.shard, claimed.lane());
        self.submit(target, headers, LogContent::Replica(claimed.into_replica()), None).await
    }

    async fn begin(&mut self, feed: Feed, current: String) -> Result<(), WriteError> {
        let before = self.cursors.get(&feed).map(|cursor| cursor.incarnation.clone()).unwrap_or_default();
        let incarnation = Incarnation {
            region: feed.region.clone(),
            lane: proto::Lane::from(feed.lane).into(),
            previous: before,
            current: current.clone(),
        };
        self.cursors.insert(feed, Cursor { incarnation: current, sequence: 0 });
        let target = subject::log_control(self.shard);
        self.submit(target, HeaderMap::new(), LogContent::Incarnation(incarnation), None).await
    }

    async fn submit(
        &mut self,
        subject: String,
        headers: HeaderMap,
        content: LogContent,
        noted: Option<oneshot::Sender<()>>,
    ) -> Result<(), WriteError> {
        // Days of the ledger follow it.
        self.appended_at_us = self.clock.following(self.appended_at_us);
        let block = log_block(&self.lease, self.appended_at_us, content);
        let payload = Bytes::from(block.encode_to_vec());
        self.appender.submit(Append { subject, headers, payload: payload.clone() }).await?;
        self.in_flight.push_back(InFlight { payload, block, noted });
        Ok(())
    }

    fn settled(&mut self, sequence: u64) -> Result<(), WriteError> {
        let Some(InFlight { payload, block, noted }) = self.in_flight.pop_front() else { return Ok(()) };
        tokio::task::block_in_place(|| self.deduplicator.settled(sequence, &payload, &block))?;
        self.metrics.log_sequence(self.shard, sequence);
        if let Some(noted) = noted {
            // Whoever asked may have gone.
            let _ = noted.send(());
        }
        Ok(())
    }
}

/// A block of the central log under this lease.
pub fn log_block(lease: &Lease, appended_at_us: u64, content: LogContent) -> LogBlock {
    LogBlock {
        version: format::VERSION,
        id: Ulid::generate().to_bytes().to_vec(),
        writer: lease.writer().to_vec(),
        epoch: lease.epoch(),
        appended_at_us,
        content: Some(content),
    }
}

/// Why the writer stopped.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Another writer took over, or a block is too large.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The ledger's disk fails.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}
