//! The one writer of a shard's central log. It takes regional messages, gives verdicts, appends blocks, and
//! updates the ledger once they are on disk.

use std::collections::HashMap;
use std::sync::Arc;

use async_nats::HeaderMap;
use bytes::Bytes;
use floodgate_clock::Clock;
use floodgate_event::proto::log_block::Content as LogContent;
use floodgate_event::proto::{self, Forget, Incarnation, LogBlock, Purge};
use floodgate_event::{ShardId, subject};
use floodgate_stream::append::{Append, BATCH_APPENDS, BATCH_BYTES, FencedAppender, Settled};
use floodgate_stream::lease::Lease;
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};

use crate::cursor::{Cursor, RegionLane};
use crate::dedup::claim::{Claimed, Deduplicator};
use crate::log::{ShardLog, WriteError, log_block};
use crate::metrics::ReplicationMetrics;
use crate::room::Place;
use crate::stage::{Origin, Replicated};

/// The most appends in flight, including those that wait for the ones before them: two batches.
const WINDOW: usize = 2 * BATCH_APPENDS;
/// The most bytes of appends in flight.
const WINDOW_BYTES: usize = 2 * BATCH_BYTES;

/// What the writer is asked to append.
#[derive(Debug)]
pub enum Work {
    /// Copy a regional message. One that cannot be decoded was set aside before.
    Replicate(Replicated, Place),
    /// Record that a region's stream began anew.
    Begin {
        /// The feed whose stream it is.
        feed: RegionLane,
        /// The incarnation that begins.
        current: String,
    },
    /// Record that a regional stream will be purged.
    Purge {
        /// What is about to be purged, and how many events are in it.
        purge: Purge,
        /// Notified once the record is on disk.
        noted: oneshot::Sender<()>,
    },
    /// Have the ledgers of all relays drop days.
    Forget {
        /// The first day that is kept.
        before_day: u32,
    },
}

/// Writes a shard's log while its lease lasts.
pub struct Writer {
    shard: ShardId,
    lease: Lease,
    appender: FencedAppender<Appended>,
    deduplicator: Deduplicator,
    /// How far each regional stream is appended, including what is in flight.
    cursors: HashMap<RegionLane, Cursor>,
    clock: Clock,
    /// The time of the last block, from which [`Clock::following`] makes that of the next one.
    appended_at_us: u64,
    metrics: ReplicationMetrics,
}

/// What the writer needs again once a block is on disk.
pub struct Appended {
    block: LogBlock,
    then: Then,
}

/// What waits until a block is on disk.
enum Then {
    /// The place of its events.
    Free(Place),
    /// Whoever asked for it.
    Tell(oneshot::Sender<()>),
    Nothing,
}

impl Writer {
    /// Makes a writer that appends after the log's end, up to which [`ShardLog::take_over`] has folded the
    /// ledger.
    pub fn new(
        log: &ShardLog,
        lease: Lease,
        appender: FencedAppender<Appended>,
        metrics: ReplicationMetrics,
    ) -> Self {
        let cut = log.ledger.cut();
        Self {
            shard: log.shard,
            lease,
            appender,
            deduplicator: Deduplicator::new(Arc::clone(&log.ledger)),
            cursors: cut.cursors,
            clock: log.clock.clone(),
            appended_at_us: cut.checkpoint.map_or(0, |checkpoint| checkpoint.appended_at_us),
            metrics,
        }
    }

    /// Runs until the lease is lost or all senders of work are gone.
    ///
    /// # Errors
    /// [`WriteError::Append`] if another writer took over; [`WriteError::Ledger`] if the ledger's disk fails.
    pub async fn run(mut self, mut work: mpsc::Receiver<Work>) -> Result<(), WriteError> {
        loop {
            let in_flight = self.appender.in_flight();
            let has_room = in_flight < WINDOW
                && self.appender.bytes_in_flight() < WINDOW_BYTES
                && !self.appender.in_doubt();
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
            Work::Replicate(replicated, place) => self.replicate(replicated, place).await,
            Work::Begin { feed, current } => self.begin(feed, current).await,
            Work::Purge { purge, noted } => {
                let target = subject::log_control(self.shard);
                self.submit(target, HeaderMap::new(), LogContent::Purge(purge), Then::Tell(noted)).await
            }
            Work::Forget { before_day } => {
                let target = subject::log_control(self.shard);
                let forget = LogContent::Forget(Forget { before_day });
                self.submit(target, HeaderMap::new(), forget, Then::Nothing).await
            }
        }
    }

    async fn replicate(&mut self, replicated: Replicated, place: Place) -> Result<(), WriteError> {
        if self.is_replicated(&replicated.origin) {
            return Ok(());
        }
        let sequence = self.appender.next_sequence();
        // A lookup may read from disk.
        let claimed = tokio::task::block_in_place(|| self.deduplicator.claim(replicated, sequence))?;
        self.append(claimed, place).await
    }

    /// Returns true if the message is already in the log. Then its events have their verdicts, and the ledger
    /// is not asked.
    fn is_replicated(&self, origin: &Origin) -> bool {
        let cursor = self.cursors.get(&origin.feed);
        cursor.is_some_and(|at| at.incarnation == origin.incarnation && origin.sequence <= at.sequence)
    }

    async fn append(&mut self, claimed: Claimed, place: Place) -> Result<(), WriteError> {
        let origin = claimed.origin();
        let mut headers = HeaderMap::new();
        headers.insert(subject::ORIGIN_HEADER, origin.to_header());
        headers.insert(subject::VERDICTS_HEADER, claimed.tallies().to_string());
        let cursor = Cursor { incarnation: origin.incarnation.clone(), sequence: origin.sequence };
        self.cursors.insert(origin.feed.clone(), cursor);
        self.metrics.replicated(&origin.feed, claimed.tallies());
        let target = subject::log(self.shard, claimed.lane());
        self.submit(target, headers, LogContent::Replica(claimed.into_replica()), Then::Free(place)).await
    }

    async fn begin(&mut self, feed: RegionLane, current: String) -> Result<(), WriteError> {
        let before = self.cursors.get(&feed).map(|cursor| cursor.incarnation.clone()).unwrap_or_default();
        let incarnation = Incarnation {
            region: feed.region.clone(),
            lane: proto::Lane::from(feed.lane).into(),
            previous: before,
            current: current.clone(),
        };
        self.cursors.insert(feed, Cursor { incarnation: current, sequence: 0 });
        let target = subject::log_control(self.shard);
        self.submit(target, HeaderMap::new(), LogContent::Incarnation(incarnation), Then::Nothing).await
    }

    async fn submit(
        &mut self,
        subject: String,
        headers: HeaderMap,
        content: LogContent,
        then: Then,
    ) -> Result<(), WriteError> {
        // The days of the ledger follow this time.
        self.appended_at_us = self.clock.following(self.appended_at_us);
        let block = log_block(&self.lease, self.appended_at_us, content);
        let payload = Bytes::from(block.encode_to_vec());
        let append = Append { subject, headers, payload };
        Ok(self.appender.submit(append, Appended { block, then }).await?)
    }

    fn settled(&mut self, settled: Settled<Appended>) -> Result<(), WriteError> {
        let Settled { sequence, payload, carried: Appended { block, then } } = settled;
        tokio::task::block_in_place(|| self.deduplicator.settled(sequence, &payload, &block))?;
        self.metrics.log_sequence(self.shard, sequence);
        match then {
            // The task that asked may be gone.
            Then::Tell(noted) => drop(noted.send(())),
            Then::Free(place) => drop(place),
            Then::Nothing => {}
        }
        Ok(())
    }
}
