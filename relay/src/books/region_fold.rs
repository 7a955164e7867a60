//! Events of one feed, from the headers of its regional stream.

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::Info;
use floodgate_event::block::EventCounts;
use floodgate_event::subject;

use super::STEP;
use super::log_fold::{PurgeBase, events_between};
use crate::dedup::ledger::{Cursor, Feed};
use crate::reader::{ReadError, StreamReader};
use crate::replicate::stage::event_counts;

/// A fold of a regional stream up to the cursor.
#[derive(Debug, Default)]
pub(super) struct RegionFold {
    key: Option<Key>,
    through: u64,
    replicated: EventCounts,
}

/// A fold holds for one incarnation, one purge, and as long as no message goes missing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    incarnation: String,
    purged_through: u64,
    deleted: u64,
}

/// A feed's events.
#[derive(Debug, Default)]
pub(super) struct FeedCount {
    /// All that it ever held.
    pub(super) accepted: EventCounts,
    /// Of these, what lies behind the cursor.
    pub(super) in_transit: EventCounts,
    /// The last message counted.
    pub(super) last_sequence: u64,
}

/// A feed: whose it is, and where region and log have it.
pub(super) struct Place<'a> {
    pub(super) region: &'a Context,
    pub(super) centre: &'a Context,
    pub(super) shard: u32,
    /// Of several shards' blocks in one stream, a gap at its beginning says nothing of one of them.
    pub(super) shards: usize,
    pub(super) feed: &'a Feed,
}

impl Place<'_> {
    /// What the feed held before what is still there: what was noted of the last purge, and, where the log that knew of a
    /// later one was replaced by an older copy, what the log has of the blocks that are gone since.
    pub(super) async fn base(
        &self,
        info: &Info,
        cursor: &Cursor,
        purge: PurgeBase,
    ) -> Result<PurgeBase, ReadError> {
        let gone = info.state.first_sequence.saturating_sub(1).min(cursor.sequence);
        if self.shards > 1 || gone <= purge.through {
            return Ok(purge);
        }
        let range = (purge.through, gone);
        let more = events_between(self.centre, self.shard, self.feed, &cursor.incarnation, range).await?;
        let mut accepted = purge.accepted;
        add(&mut accepted, &more);
        Ok(PurgeBase { through: gone, accepted })
    }
}

impl RegionFold {
    /// Each time, as the cursor that is known may still be on its way: a relay that has just begun folds the log first.
    async fn pass_over_gone(
        &mut self,
        place: &Place<'_>,
        info: &Info,
        cursor: &Cursor,
    ) -> Result<(), ReadError> {
        // A copy, so that whoever gives up waiting leaves all of it or nothing.
        let known = PurgeBase { through: self.through, accepted: self.replicated.clone() };
        let base = place.base(info, cursor, known).await?;
        (self.through, self.replicated) = (base.through, base.accepted);
        Ok(())
    }

    /// Counts up to the stream's end.
    pub(super) async fn advance(
        &mut self,
        place: &Place<'_>,
        info: &Info,
        cursor: &Cursor,
        purge: PurgeBase,
    ) -> Result<FeedCount, ReadError> {
        let (context, shard, feed) = (place.region, place.shard, place.feed);
        let state = &info.state;
        let key = Key {
            incarnation: cursor.incarnation.clone(),
            purged_through: purge.through,
            deleted: state.deleted_count.unwrap_or(0),
        };
        if self.key.as_ref() != Some(&key) || cursor.sequence < self.through {
            *self = Self { key: Some(key), through: purge.through, replicated: purge.accepted };
        }
        self.pass_over_gone(place, info, cursor).await?;
        // In steps, which are kept if whoever asked is gone before the last.
        while self.through < cursor.sequence {
            let through = cursor.sequence.min(self.through + STEP);
            let newly = count(context, shard, feed, self.through, through).await?;
            add(&mut self.replicated, &newly);
            self.through = through;
        }
        let in_transit = count(context, shard, feed, self.through, state.last_sequence).await?;
        let mut accepted = self.replicated.clone();
        add(&mut accepted, &in_transit);
        Ok(FeedCount { accepted, in_transit, last_sequence: state.last_sequence })
    }
}

/// The feed's stream as it is now.
pub(super) async fn look(context: &Context, feed: &Feed) -> Result<Info, ReadError> {
    let stream = context.get_stream(subject::regional_stream(feed.lane)).await;
    let stream = stream.map_err(|error| ReadError::from(async_nats::Error::from(error)))?;
    Ok(stream.cached_info().clone())
}

/// What a feed held up to and with `through`.
pub(super) async fn accepted(
    place: &Place<'_>,
    cursor: &Cursor,
    purge: PurgeBase,
    through: u64,
) -> Result<EventCounts, ReadError> {
    let info = look(place.region, place.feed).await?;
    let base = place.base(&info, cursor, purge).await?;
    let mut accepted = base.accepted;
    add(&mut accepted, &count(place.region, place.shard, place.feed, base.through, through).await?);
    Ok(accepted)
}

/// Events in the messages after `after`, up to and with `through`.
async fn count(
    context: &Context,
    shard: u32,
    feed: &Feed,
    after: u64,
    through: u64,
) -> Result<EventCounts, ReadError> {
    let stream = subject::regional_stream(feed.lane).to_owned();
    let filter = subject::regional(feed.lane, shard);
    let reader = StreamReader::new(context.clone(), stream, filter, after + 1).headers_only();
    let mut counts = EventCounts::default();
    reader.scan(through, |message| add(&mut counts, &event_counts(message.headers.as_ref()))).await?;
    Ok(counts)
}

fn add(sum: &mut EventCounts, more: &EventCounts) {
    for (source, count) in &more.0 {
        *sum.0.entry(source.clone()).or_default() += count;
    }
}
