//! Purges regional streams: a message is removed once it is in the central log and older than the kept
//! history.
//!
//! Before a purge, the log records how many events it removes, so that the books still count them.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use floodgate_event::block::EventCounts;
use floodgate_event::proto::{self, Purge, SourceCount};
use floodgate_event::{Lane, subject, time::from_unix_micros};
use floodgate_stream::RegionConnection;
use floodgate_stream::reader::TemporaryConsumer;
use futures::StreamExt as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use crate::books::Bookkeeper;
use crate::cursor::RegionLane;
use crate::incarnation::next_incarnation;
use crate::log::ShardLog;
use crate::writer::Work;

/// How often every region is purged.
const EVERY: Duration = Duration::from_secs(30);
/// How long the server may take to find the first message to keep.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// Purges the regions of one shard.
pub struct Purger {
    /// The shard's log. Its ledger knows how far each region is replicated. Its clock that is furthest behind
    /// decides what is old.
    pub log: ShardLog,
    /// The regions to purge.
    pub regions: Vec<RegionConnection>,
    /// Counts the events that are about to be purged.
    pub books: Arc<Bookkeeper>,
    /// Writes the purge into the log.
    pub writer: mpsc::Sender<Work>,
    /// How long a region keeps a message that is in the log.
    pub kept: Duration,
}

impl Purger {
    /// Runs until the writer has stopped.
    pub async fn run(self) {
        loop {
            tokio::select! {
                () = self.writer.closed() => return,
                () = sleep(EVERY) => {}
            }
            for region in &self.regions {
                for lane in Lane::ALL {
                    let feed = RegionLane { region: region.name.to_string(), lane };
                    if let Err(error) = self.purge(&region.context, &feed).await {
                        tracing::warn!(region = feed.region, %lane, %error, "the region was not purged");
                    }
                }
            }
        }
    }

    async fn purge(&self, context: &Context, feed: &RegionLane) -> Result<(), async_nats::Error> {
        let Some(cursor) = self.log.ledger.cut().cursors.get(feed).cloned() else { return Ok(()) };
        let mut stream = context.get_stream(subject::regional_stream(feed.lane)).await?;
        let first_kept = self.first_kept(context, feed).await?;
        let through = first_kept.map_or(cursor.sequence, |first| cursor.sequence.min(first - 1));
        let info = stream.info().await?;
        // If the stream began anew, nothing of it is known to be in the log.
        let is_another = next_incarnation(&cursor, info).is_some();
        if is_another || info.state.messages == 0 || through < info.state.first_sequence {
            return Ok(());
        }
        // None if the stream has no blocks of this shard, or if an earlier purge was noted and did not
        // happen.
        let incarnation = cursor.incarnation.clone();
        if let Some(accepted) =
            self.books.accepted_through(self.log.shard, feed, &incarnation, through).await?
        {
            self.note(feed, incarnation, through, accepted).await?;
            // Writing the note may have taken long, and the stream may be another one by now.
            if next_incarnation(&cursor, stream.info().await?).is_some() {
                return Ok(());
            }
        }
        let filter = subject::regional(feed.lane, self.log.shard);
        let purged = stream.purge().filter(filter).sequence(through + 1).await?;
        tracing::info!(region = feed.region, lane = %feed.lane, through, messages = purged.purged, "purged");
        Ok(())
    }

    /// Waits until the log records what is about to be purged.
    async fn note(
        &self,
        feed: &RegionLane,
        incarnation: String,
        through: u64,
        accepted: EventCounts,
    ) -> Result<(), async_nats::Error> {
        let accepted =
            accepted.0.into_iter().map(|(source, count)| SourceCount { source: source.into(), count });
        let purge = Purge {
            region: feed.region.clone(),
            incarnation,
            lane: proto::Lane::from(feed.lane).into(),
            through,
            accepted: accepted.collect(),
        };
        let (noted, is_noted) = oneshot::channel();
        self.writer.send(Work::Purge { purge, noted }).await?;
        Ok(is_noted.await?)
    }

    /// Finds the first message that is younger than the kept history. `None` if all are older.
    async fn first_kept(
        &self,
        context: &Context,
        feed: &RegionLane,
    ) -> Result<Option<u64>, async_nats::Error> {
        let kept_us = u64::try_from(self.kept.as_micros()).unwrap_or(u64::MAX);
        let since = from_unix_micros(self.log.clock.earliest_us().saturating_sub(kept_us));
        let since = time::OffsetDateTime::from(since);
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartTime { start_time: since },
            ack_policy: AckPolicy::None,
            headers_only: true,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: LOOK_TIMEOUT * 2,
            ..pull::Config::default()
        };
        let (_temporary, consumer) =
            TemporaryConsumer::create(context, subject::regional_stream(feed.lane), config).await?;
        if consumer.cached_info().num_pending == 0 {
            return Ok(None);
        }
        let mut first = consumer.fetch().max_messages(1).expires(LOOK_TIMEOUT).messages().await?;
        let message =
            first.next().await.ok_or("the server did not say which message is the first to keep")??;
        Ok(Some(message.info()?.stream_sequence))
    }
}
