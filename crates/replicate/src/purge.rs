//! Throwing away what a region no longer needs to keep:
//! what is in the central log and older than the kept history.
//!
//! What the purged part held is noted in the log first, so that the books go on knowing it.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use floodgate_clock::Clock;
use floodgate_event::block::EventCounts;
use floodgate_event::proto::{self, Purge, SourceCount};
use floodgate_event::{Lane, subject, time::from_unix_micros};
use floodgate_stream::reader::Temporary;
use futures::StreamExt as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::feed::next_incarnation;
use super::writer::Work;
use crate::books::{Bookkeeper, RegionStreams};
use crate::dedup::ledger::{Feed, Ledger};

/// How often the regions are gone over.
const EVERY: Duration = Duration::from_secs(30);
/// How long the server may take to find the first message that is kept.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// Purges the regions of one shard.
pub struct Purger {
    /// The shard.
    pub shard: u32,
    /// The regions.
    pub regions: Vec<RegionStreams>,
    /// How far each feed is replicated.
    pub ledger: Arc<Ledger>,
    /// Counts what is purged.
    pub books: Arc<Bookkeeper>,
    /// Notes it in the log.
    pub writer: mpsc::Sender<Work>,
    /// How long a confirmed message is kept.
    pub kept: Duration,
    /// What is old goes by the clock that is furthest behind.
    pub clock: Clock,
}

impl Purger {
    /// Purges until the writer is gone.
    pub async fn run(self) {
        loop {
            tokio::select! {
                () = self.writer.closed() => return,
                () = sleep(EVERY) => {}
            }
            for region in &self.regions {
                for lane in Lane::ALL {
                    let feed = Feed { region: region.name.to_string(), lane };
                    if let Err(error) = self.purge(&region.context, &feed).await {
                        tracing::warn!(region = feed.region, %lane, %error, "the region was not purged");
                    }
                }
            }
        }
    }

    async fn purge(&self, context: &Context, feed: &Feed) -> Result<(), async_nats::Error> {
        let Some(cursor) = self.ledger.cut().cursors.get(feed).cloned() else { return Ok(()) };
        let mut stream = context.get_stream(subject::regional_stream(feed.lane)).await?;
        let first_kept = self.first_kept(context, feed).await?;
        let through = first_kept.map_or(cursor.sequence, |first| cursor.sequence.min(first - 1));
        let info = stream.info().await?;
        // Of a stream that began anew, nothing is known to be in the log.
        let is_another = next_incarnation(&cursor, info).is_some();
        if is_another || info.state.messages == 0 || through < info.state.first_sequence {
            return Ok(());
        }
        // Of several shards' blocks in one stream there may be none of this one, or a purge that
        // was noted did not happen.
        let incarnation = cursor.incarnation.clone();
        if let Some(accepted) = self.books.accepted_through(self.shard, feed, &incarnation, through).await? {
            self.note(feed, incarnation, through, accepted).await?;
            // The note may have waited for long: is it still the same stream?
            if next_incarnation(&cursor, stream.info().await?).is_some() {
                return Ok(());
            }
        }
        let filter = subject::regional(feed.lane, self.shard);
        let purged = stream.purge().filter(filter).sequence(through + 1).await?;
        tracing::info!(region = feed.region, lane = %feed.lane, through, messages = purged.purged, "purged");
        Ok(())
    }

    /// Waits until the log says what is about to be purged.
    async fn note(
        &self,
        feed: &Feed,
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

    /// The first message that is younger than the kept history; `None` if all are older.
    async fn first_kept(&self, context: &Context, feed: &Feed) -> Result<Option<u64>, async_nats::Error> {
        let kept_us = u64::try_from(self.kept.as_micros()).unwrap_or(u64::MAX);
        let since = from_unix_micros(self.clock.earliest_us().saturating_sub(kept_us));
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
            Temporary::create(context, subject::regional_stream(feed.lane), config).await?;
        if consumer.cached_info().num_pending == 0 {
            return Ok(None);
        }
        let mut first = consumer.fetch().max_messages(1).expires(LOOK_TIMEOUT).messages().await?;
        let message =
            first.next().await.ok_or("the server did not say which message is the first to keep")??;
        Ok(Some(message.info()?.stream_sequence))
    }
}
