//! Reads one lane of one region, from the log's cursor on, for as long as this process writes the log.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::Info;
use floodgate_event::{Backoff, LogRate, ShardCount, subject};
use floodgate_stream::reader::{ReadMessage, StreamReader};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::cursor::{Cursor, RegionLane};
use crate::incarnation::next_incarnation;
use crate::log::ShardLog;
use crate::metrics::ReplicationMetrics;
use crate::progress::RegionProgress;
use crate::room::Room;
use crate::set_aside::set_aside;
use crate::stage::{Content, Origin, Replicated};
use crate::writer::Work;

/// How often a reader checks the state of the region's stream.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The pauses before an unreachable region is tried again.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));

/// Reads the messages of one lane and shard, and sends them to the writer in order.
pub struct RegionReader {
    /// The JetStream of the region's server.
    pub region: Context,
    /// The log that the messages go to. The centre also has the stream for messages that cannot be decoded.
    pub log: ShardLog,
    /// How many shards share the region's stream.
    pub shards: ShardCount,
    /// The lane of a region that it reads.
    pub feed: RegionLane,
    /// The last message that is in the log.
    pub cursor: Cursor,
    /// The writer's queue, which is bounded.
    pub writer: mpsc::Sender<Work>,
    /// The room for what it decodes, which it shares with the shard's other readers.
    pub room: Room,
    /// Where the reader records how far the region is replicated.
    pub progress: RegionProgress,
    /// How often it checks the state of the region's stream: [`LOOK_EVERY`], or less in a test.
    pub look_every: Duration,
    /// Counts incarnations, gaps and messages that are set aside.
    pub metrics: ReplicationMetrics,
    /// Limits the log lines about what is set aside.
    pub lines: LogRate,
}

/// The end of the region's stream at some moment. Once the reader has passed it, everything that was accepted
/// before that moment is replicated.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at_us: u64,
    last: u64,
}

/// The writer has stopped and takes no more work.
struct WriterGone;

impl RegionReader {
    /// Runs until the writer has stopped.
    pub async fn run(mut self) {
        let mut backoff = BACKOFF;
        loop {
            match self.look().await {
                Ok(info) => {
                    backoff.reset();
                    self.progress.reached(&self.feed);
                    if self.settle_incarnation(&info).await.is_err() || self.read().await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::debug!(region = self.feed.region, lane = %self.feed.lane, %error, "out of reach");
                    self.progress.missed(&self.feed);
                }
            }
            tokio::select! {
                () = self.writer.closed() => return,
                () = sleep(backoff.pause()) => {}
            }
        }
    }

    async fn look(&self) -> Result<Info, async_nats::Error> {
        let stream = self.region.get_stream(subject::regional_stream(self.feed.lane)).await?;
        Ok(stream.cached_info().clone())
    }

    /// Detects a stream that was created again or went back, as after a lost disk or a restored backup.
    async fn settle_incarnation(&mut self, info: &Info) -> Result<(), WriterGone> {
        let Some(current) = next_incarnation(&self.cursor, info) else {
            self.skip_missing(info.state.first_sequence);
            return Ok(());
        };
        let first = self.cursor.incarnation.is_empty();
        if !first {
            let (region, lane) = (&self.feed.region, self.feed.lane);
            tracing::error!(region, %lane, previous = self.cursor.incarnation, current, "the region's stream began anew");
            self.metrics.incarnation(&self.feed);
        }
        self.cursor = Cursor { incarnation: current.clone(), sequence: 0 };
        self.send(Work::Begin { feed: self.feed.clone(), current }).await
    }

    /// Detects blocks that the region removed although the log does not have them. A centre that was restored
    /// from too old a copy finds such a gap. With several shards, a gap may be blocks of another shard, and
    /// says nothing.
    fn skip_missing(&mut self, first: u64) {
        let missing = first.saturating_sub(self.cursor.sequence + 1);
        if missing == 0 || self.shards > ShardCount::ONE {
            return;
        }
        let (region, lane) = (&self.feed.region, self.feed.lane);
        let after = self.cursor.sequence;
        tracing::error!(region, %lane, after, missing, "the region no longer has blocks that the log never had");
        self.metrics.missing(&self.feed, missing);
        self.cursor.sequence = first - 1;
    }

    /// Reads until the region fails, which returns `Ok`, or the writer has stopped.
    async fn read(&mut self) -> Result<(), WriterGone> {
        let stream = subject::regional_stream(self.feed.lane).to_owned();
        let filter = subject::regional(self.feed.lane, self.log.shard);
        let mut reader = StreamReader::new(self.region.clone(), stream, filter, self.cursor.sequence + 1);
        let mut looks = interval(self.look_every);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut mark = None;
        loop {
            self.pass(&mut mark);
            let message = tokio::select! {
                message = reader.try_next() => message,
                _ = looks.tick() => match self.still_fits(&mut mark, &reader).await {
                    true => continue,
                    false => return Ok(()),
                },
                () = self.writer.closed() => return Err(WriterGone),
            };
            let Ok(message) = message else { return Ok(()) };
            self.cursor.sequence = message.sequence;
            self.metrics.pending(&self.feed, message.pending);
            let origin = Origin {
                feed: self.feed.clone(),
                incarnation: self.cursor.incarnation.clone(),
                sequence: message.sequence,
            };
            let replicated = self.take(origin, &message).await?;
            let place = tokio::select! {
                place = self.room.place(replicated.events()) => place,
                () = self.writer.closed() => return Err(WriterGone),
            };
            self.send(Work::Replicate(replicated, place)).await?;
        }
    }

    /// Decodes a message. One that cannot be decoded is set aside first.
    async fn take(&self, origin: Origin, message: &ReadMessage) -> Result<Replicated, WriterGone> {
        let replicated = Replicated::read(origin, message);
        if let Content::SetAside(reason) = &replicated.content {
            self.metrics.set_aside(&self.feed);
            tokio::select! {
                () = set_aside(&self.log.centre, &replicated.origin, message, &reason.reason, &self.lines) => {}
                () = self.writer.closed() => return Err(WriterGone),
            }
        }
        Ok(replicated)
    }

    /// Returns true if the stream is still the same one. Also marks its present end, so that a reader that is
    /// never idle passes some mark too.
    async fn still_fits(&self, mark: &mut Option<Mark>, reader: &StreamReader) -> bool {
        let at_us = self.log.clock.earliest_us();
        let Ok(info) = self.look().await else {
            self.progress.missed(&self.feed);
            return false;
        };
        self.progress.reached(&self.feed);
        mark.get_or_insert(Mark { at_us, last: info.state.last_sequence });
        // With several shards, the stream may end with messages of other shards, which this reader never
        // gets.
        if self.shards > ShardCount::ONE
            && info.state.last_sequence > self.cursor.sequence
            && reader.is_caught_up().await
        {
            self.progress.replicated_through(&self.feed, at_us);
            *mark = None;
        }
        next_incarnation(&self.cursor, &info).is_none()
    }

    /// Records how far the region is replicated, once the reader has passed the mark.
    fn pass(&self, mark: &mut Option<Mark>) {
        if let Some(passed) = mark.take_if(|mark| mark.last <= self.cursor.sequence) {
            self.progress.replicated_through(&self.feed, passed.at_us);
        }
    }

    async fn send(&self, work: Work) -> Result<(), WriterGone> {
        self.writer.send(work).await.map_err(|_| WriterGone)
    }
}
