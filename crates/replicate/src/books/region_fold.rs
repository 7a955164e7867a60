//! Counts the events of one feed, from the headers of its regional stream.

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::Info;
use floodgate_event::ShardId;
use floodgate_event::block::EventCounts;
use floodgate_event::subject;
use floodgate_stream::reader::{ReadError, ReadMessage, StreamReader};
use futures::StreamExt as _;

use super::log_fold::{LogFold, PurgeBase, events_between};
use super::{STEP, add_counts};
use crate::cursor::{Cursor, RegionLane};
use crate::stage::event_counts;

/// What was counted in a regional stream, up to the cursor.
#[derive(Debug, Default)]
pub(super) struct RegionFold {
    key: Option<Key>,
    /// What the fold began with: the events that are no longer in the stream.
    base: PurgeBase,
    through: u64,
    replicated: EventCounts,
    /// How many messages were counted since the base.
    messages: u64,
    /// True once this fold has searched for messages that disappeared without a note.
    looked: bool,
    /// The incarnation for which this process has compared the stream with the log.
    compared: Option<String>,
}

/// What a fold is valid for: one incarnation, one purge, and as long as no message disappears.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    incarnation: String,
    purged_through: u64,
    /// How many messages were deleted within the stream. Always 0 with several shards: they share the stream,
    /// and each purges its own messages.
    deleted: u64,
}

/// How many events a feed has had.
#[derive(Debug, Default)]
pub(super) struct FeedCount {
    /// All events that it ever held.
    pub(super) accepted: EventCounts,
    /// Those of them that are behind the cursor.
    pub(super) in_transit: EventCounts,
    /// The last message counted: the shard's last one, or the cursor.
    pub(super) last_sequence: u64,
}

/// A feed, and where to find it in the region and in the log.
pub(super) struct Place<'a> {
    pub(super) region: &'a Context,
    pub(super) centre: &'a Context,
    pub(super) shard: ShardId,
    /// The number of shards. With several of them, a gap at the beginning of the stream says nothing about
    /// this one.
    pub(super) shards: usize,
    pub(super) feed: &'a RegionLane,
}

/// The feed's stream as it is now, from the server's description.
pub(super) struct Look {
    pub(super) info: Info,
    /// How many of its messages belong to this shard.
    own: u64,
}

impl Place<'_> {
    /// Returns what the feed held before its messages that still exist. That is what was noted of the last
    /// purge. If the log was replaced by an older copy, it may lack a later note: then the log's blocks that
    /// the region no longer has are added. `first` is the first message that still exists.
    async fn base(&self, first: u64, cursor: &Cursor, known: PurgeBase) -> Result<PurgeBase, ReadError> {
        let gone = first.saturating_sub(1).min(cursor.sequence);
        if gone <= known.through {
            return Ok(known);
        }
        let range = (known.through, gone);
        let more = events_between(self.centre, self.shard, self.feed, &cursor.incarnation, range).await?;
        let mut accepted = known.accepted;
        add_counts(&mut accepted, &more);
        Ok(PurgeBase { through: gone, accepted })
    }

    /// The shard's first message after `after`, or the stream's next one if there is none.
    async fn first_own(&self, look: &Look, after: u64) -> Result<u64, ReadError> {
        if self.shards == 1 {
            return Ok(look.info.state.first_sequence);
        }
        if look.own == 0 {
            return Ok(look.info.state.last_sequence + 1);
        }
        Ok(self.reader(after).try_next().await?.sequence)
    }

    fn reader(&self, after: u64) -> StreamReader {
        let stream = subject::regional_stream(self.feed.lane).to_owned();
        let filter = subject::regional(self.feed.lane, self.shard);
        StreamReader::new(self.region.clone(), stream, filter, after + 1).headers_only()
    }

    /// Counts the shard's messages after `after`, up to and including `through`.
    async fn count(&self, after: u64, through: u64) -> Result<Counted, ReadError> {
        let mut counted = Counted { last_sequence: after, ..Counted::default() };
        let visit = |message: &ReadMessage| {
            add_counts(&mut counted.events, &event_counts(message.headers.as_ref()));
            counted.messages += 1;
            counted.last_sequence = message.sequence;
        };
        self.reader(after).scan(through, visit).await?;
        Ok(counted)
    }

    /// Asks the server for the stream's present state.
    pub(super) async fn look(&self) -> Result<Look, ReadError> {
        let failed = |error: async_nats::Error| ReadError::from(error);
        let stream = self.region.get_stream_no_info(subject::regional_stream(self.feed.lane)).await;
        let stream = stream.map_err(|error| failed(error.into()))?;
        if self.shards == 1 {
            let info = stream.get_info().await.map_err(|error| failed(error.into()))?;
            let own = info.state.messages;
            return Ok(Look { info, own });
        }
        let own = subject::regional(self.feed.lane, self.shard);
        let mut subjects = stream.info_with_subjects(own).await.map_err(|error| failed(error.into()))?;
        let mut own = 0;
        // The filter is one subject, so there is one page.
        if let Some(subject) = subjects.next().await {
            own = subject.map_err(|error| failed(error.into()))?.1 as u64;
        }
        Ok(Look { info: subjects.info, own })
    }
}

#[derive(Default)]
struct Counted {
    events: EventCounts,
    messages: u64,
    last_sequence: u64,
}

impl RegionFold {
    /// Counts up to the end of the stream.
    pub(super) async fn advance(
        &mut self,
        place: &Place<'_>,
        look: &Look,
        cursor: &Cursor,
        log: &LogFold,
    ) -> Result<FeedCount, ReadError> {
        let purge = log.purge(place.feed, &cursor.incarnation);
        let state = &look.info.state;
        let deleted = if place.shards == 1 { state.deleted_count.unwrap_or(0) } else { 0 };
        let key = Key { incarnation: cursor.incarnation.clone(), purged_through: purge.through, deleted };
        if self.key.as_ref() != Some(&key) || cursor.sequence < self.through {
            self.begin(key.clone(), purge.clone());
        }
        let mut in_transit = self.count(place, look, cursor, log).await?;
        if place.shards > 1 && self.messages + in_transit.messages > look.own {
            // Messages that were counted are gone, and no purge was noted.
            self.begin(key, purge);
            in_transit = self.count(place, look, cursor, log).await?;
        }
        let mut accepted = self.replicated.clone();
        add_counts(&mut accepted, &in_transit.events);
        let last_sequence = in_transit.last_sequence.max(cursor.sequence);
        Ok(FeedCount { accepted, in_transit: in_transit.events, last_sequence })
    }

    fn begin(&mut self, key: Key, base: PurgeBase) {
        let (through, replicated) = (base.through, base.accepted.clone());
        let compared = self.compared.take();
        *self = Self { key: Some(key), base, through, replicated, compared, ..Self::default() };
    }

    /// Counts up to the cursor, and returns what is behind it.
    async fn count(
        &mut self,
        place: &Place<'_>,
        look: &Look,
        cursor: &Cursor,
        log: &LogFold,
    ) -> Result<Counted, ReadError> {
        if place.shards == 1 {
            self.pass_over_gone(place, look, cursor).await?;
        }
        self.fold(place, cursor.sequence).await?;
        // The search reads the log, so it is made only if something is missing.
        let is_missing = self.replicated != log.of_incarnation(place.feed, &cursor.incarnation);
        if place.shards > 1 && is_missing && !self.looked {
            (self.through, self.replicated) = (self.base.through, self.base.accepted.clone());
            self.messages = 0;
            self.pass_over_gone(place, look, cursor).await?;
            self.fold(place, cursor.sequence).await?;
            self.looked = true;
        }
        self.compared = Some(cursor.incarnation.clone());
        place.count(self.through, look.info.state.last_sequence).await
    }

    async fn pass_over_gone(
        &mut self,
        place: &Place<'_>,
        look: &Look,
        cursor: &Cursor,
    ) -> Result<(), ReadError> {
        let first = place.first_own(look, self.through).await?;
        // A copy, so that a caller that gives up leaves either everything or nothing.
        let known = PurgeBase { through: self.through, accepted: self.replicated.clone() };
        let base = place.base(first, cursor, known).await?;
        if base.through > self.through {
            (self.through, self.replicated) = (base.through, base.accepted.clone());
            (self.base, self.messages) = (base, 0);
        }
        Ok(())
    }

    /// Counts in steps. Those that are complete are kept if the caller gives up.
    async fn fold(&mut self, place: &Place<'_>, cursor: u64) -> Result<(), ReadError> {
        while self.through < cursor {
            let through = cursor.min(self.through + STEP);
            let newly = place.count(self.through, through).await?;
            add_counts(&mut self.replicated, &newly.events);
            self.messages += newly.messages;
            self.through = through;
        }
        Ok(())
    }

    /// Counts the events that the feed held up to and including `through`, which must not be behind the
    /// cursor. None if the feed has no messages beyond what was noted before.
    pub(super) async fn accepted_through(
        &mut self,
        place: &Place<'_>,
        cursor: &Cursor,
        log: &LogFold,
        through: u64,
    ) -> Result<Option<EventCounts>, ReadError> {
        let look = place.look().await?;
        let noted = log.purge(place.feed, &cursor.incarnation);
        let base = if place.shards == 1 {
            place.base(look.info.state.first_sequence, cursor, noted.clone()).await?
        } else {
            if self.compared.as_ref() != Some(&cursor.incarnation) {
                self.advance(place, &look, cursor, log).await?;
            }
            let is_current =
                |key: &Key| key.incarnation == cursor.incarnation && key.purged_through == noted.through;
            if self.key.as_ref().is_some_and(is_current) { self.base.clone() } else { noted.clone() }
        };
        let counted = place.count(base.through, through).await?;
        if counted.messages == 0 && base.through == noted.through {
            return Ok(None);
        }
        let mut accepted = base.accepted;
        add_counts(&mut accepted, &counted.events);
        Ok(Some(accepted))
    }
}
