//! Reading one lane of one region from where the log has it, for as long as this process writes.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::Info;
use floodgate_clock::Clock;
use floodgate_event::{LogRate, subject};
use floodgate_stream::reader::{ReadMessage, StreamReader};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::set_aside::set_aside;
use super::stage::{Content, Origin, Replicated};
use super::writer::Work;
use crate::dedup::ledger::{Cursor, Feed};
use crate::metrics::ReplicationMetrics;
use crate::progress::Progress;

/// How often the region's stream is looked at as a whole.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The first and the longest wait before an unreachable region is asked again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// What `floodgate restore` notes in the metadata of a regional stream: its own time.
/// The restored stream is as old as the one before it, and may be as long again before anybody looks.
pub const RESTORED: &str = "floodgate_restored";

/// One lane of one region, for one shard.
pub struct FeedReader {
    /// The region's JetStream.
    pub context: Context,
    /// The centre's, for what must be set aside.
    pub centre: Context,
    /// Region and lane.
    pub feed: Feed,
    /// The shard.
    pub shard: u32,
    /// How many there are.
    pub shards: u32,
    /// Where the log has it.
    pub cursor: Cursor,
    /// The writer's inbox; bounded.
    pub writer: mpsc::Sender<Work>,
    /// Where it is noted how far the region is replicated.
    pub progress: Progress,
    /// The relay's time.
    pub clock: Clock,
    /// How often the region's stream is looked at: [`LOOK_EVERY`].
    pub look_every: Duration,
    /// Metrics.
    pub metrics: ReplicationMetrics,
    /// Of the lines about what is set aside.
    pub lines: LogRate,
}

/// How long the region's stream was at some moment:
/// once it is read so far, all is replicated that was accepted before.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at_us: u64,
    last: u64,
}

/// Nobody takes work any more: the writer has stopped.
struct WriterGone;

impl FeedReader {
    /// Reads until the writer is gone.
    pub async fn run(mut self) {
        let mut backoff = BACKOFF.0;
        loop {
            match self.look().await {
                Ok(info) => {
                    backoff = BACKOFF.0;
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
                () = sleep(backoff) => backoff = (backoff * 2).min(BACKOFF.1),
            }
        }
    }

    async fn look(&self) -> Result<Info, async_nats::Error> {
        let stream = self.context.get_stream(subject::regional_stream(self.feed.lane)).await?;
        Ok(stream.cached_info().clone())
    }

    /// Notices a stream that was made anew or went back, as after a lost disk or a restored backup.
    async fn settle_incarnation(&mut self, info: &Info) -> Result<(), WriterGone> {
        let Some(current) = next_incarnation(&self.cursor, info) else {
            self.pass_over_missing(info.state.first_sequence);
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

    /// Notices blocks that the region threw away although the log does not have them, as a centre that was
    /// restored from too old a copy finds. Of several shards' blocks in one stream, gaps say nothing.
    fn pass_over_missing(&mut self, first: u64) {
        let missing = first.saturating_sub(self.cursor.sequence + 1);
        if missing == 0 || self.shards > 1 {
            return;
        }
        let (region, lane) = (&self.feed.region, self.feed.lane);
        let after = self.cursor.sequence;
        tracing::error!(region, %lane, after, missing, "the region no longer has blocks that the log never had");
        self.metrics.missing(&self.feed, missing);
        self.cursor.sequence = first - 1;
    }

    /// Reads until the region fails (then `Ok`) or the writer is gone.
    async fn read(&mut self) -> Result<(), WriterGone> {
        let stream = subject::regional_stream(self.feed.lane).to_owned();
        let filter = subject::regional(self.feed.lane, self.shard);
        let mut reader = StreamReader::new(self.context.clone(), stream, filter, self.cursor.sequence + 1);
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
            self.send(Work::Replicate(replicated)).await?;
        }
    }

    /// Reads a message; one that cannot be decoded is set aside first.
    async fn take(&self, origin: Origin, message: &ReadMessage) -> Result<Replicated, WriterGone> {
        let replicated = Replicated::read(origin, message);
        if let Content::SetAside(reason) = &replicated.content {
            self.metrics.set_aside(&self.feed);
            tokio::select! {
                () = set_aside(&self.centre, &replicated.origin, message, &reason.reason, &self.lines) => {}
                () = self.writer.closed() => return Err(WriterGone),
            }
        }
        Ok(replicated)
    }

    /// Whether the stream is still the one that is being read. Also marks how long it is, so that a reader
    /// that is never idle gets past some mark too.
    async fn still_fits(&self, mark: &mut Option<Mark>, reader: &StreamReader) -> bool {
        let at_us = self.clock.earliest_us();
        let Ok(info) = self.look().await else {
            self.progress.missed(&self.feed);
            return false;
        };
        self.progress.reached(&self.feed);
        mark.get_or_insert(Mark { at_us, last: info.state.last_sequence });
        // With several shards the stream's end may be another shard's, which this reader never meets.
        if self.shards > 1 && info.state.last_sequence > self.cursor.sequence && reader.is_level().await {
            self.progress.replicated_through(&self.feed, at_us);
            *mark = None;
        }
        next_incarnation(&self.cursor, &info).is_none()
    }

    /// Notes how far the region is replicated once its mark is read past.
    fn pass(&self, mark: &mut Option<Mark>) {
        if let Some(passed) = mark.take_if(|mark| mark.last <= self.cursor.sequence) {
            self.progress.replicated_through(&self.feed, passed.at_us);
        }
    }

    async fn send(&self, work: Work) -> Result<(), WriterGone> {
        self.writer.send(work).await.map_err(|_| WriterGone)
    }
}

/// The incarnation that begins now, if the stream is not the one that the cursor is about:
/// its time of creation, when it was restored, if ever, and a count of how often that very stream went back.
pub fn next_incarnation(cursor: &Cursor, info: &Info) -> Option<String> {
    let restored = info.config.metadata.get(RESTORED).map(|at| format!("-{at}")).unwrap_or_default();
    let created = format!("{:x}{restored}", info.created.unix_timestamp_nanos() / 1_000);
    let (known, rewinds) = match cursor.incarnation.split_once('.') {
        Some((known, rewinds)) => (known, rewinds.parse().unwrap_or(0)),
        None => (cursor.incarnation.as_str(), 0_u32),
    };
    if known != created {
        return Some(created);
    }
    (info.state.last_sequence < cursor.sequence).then(|| format!("{created}.{}", rewinds + 1))
}

#[cfg(test)]
mod tests {

    use super::*;
    use floodgate_testkit::stream_info::stream_info;

    /// A stream that was made one second after 1970, as the server tells of it.
    fn info(stream: &str, last: u64, restored: Option<&str>) -> Info {
        let metadata = restored.into_iter().map(|at| (RESTORED.to_owned(), at.to_owned())).collect();
        let mut info = stream_info(stream, last);
        info.config.metadata = metadata;
        info
    }

    fn cursor(incarnation: &str, sequence: u64) -> Cursor {
        Cursor { incarnation: incarnation.to_owned(), sequence }
    }

    #[test]
    fn a_restored_stream_is_another_however_long_it_is() {
        let next =
            |cursor: Cursor, last, restored| next_incarnation(&cursor, &info("IN_BULK", last, restored));
        assert_eq!(next(cursor("f4240", 7), 7, None), None);
        assert_eq!(next(cursor("f4240", 7), 6, None).as_deref(), Some("f4240.1"));
        assert_eq!(next(cursor("f4240.1", 7), 6, None).as_deref(), Some("f4240.2"));
        assert_eq!(next(cursor("f4241", 7), 9, None).as_deref(), Some("f4240"));
        assert_eq!(next(cursor("f4240.1", 7), 9, Some("a1")).as_deref(), Some("f4240-a1"));
        assert_eq!(next(cursor("f4240-a1", 7), 9, Some("a1")), None);
        assert_eq!(next(cursor("f4240-a1", 7), 3, Some("a1")).as_deref(), Some("f4240-a1.1"));
    }
}
