//! Events of one feed, from the headers of its regional stream.

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::Info;
use floodgate_event::block::EventCounts;
use floodgate_event::subject;
use floodgate_stream::reader::{ReadError, ReadMessage, StreamReader};
use futures::StreamExt as _;

use super::log_fold::{LogFold, PurgeBase, events_between};
use super::{STEP, add_counts};
use crate::dedup::ledger::{Cursor, Feed};
use crate::stage::event_counts;

/// A fold of a regional stream up to the cursor.
#[derive(Debug, Default)]
pub(super) struct RegionFold {
    key: Option<Key>,
    /// What the fold began with: all that is gone from the stream.
    base: PurgeBase,
    through: u64,
    replicated: EventCounts,
    /// Messages folded behind the base.
    messages: u64,
    /// Whether it was looked for messages that are gone and not noted.
    looked: bool,
    /// Of which incarnation this process has compared the stream with the log.
    compared: Option<String>,
}

/// A fold holds for one incarnation, one purge, and as long as no message goes missing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    incarnation: String,
    purged_through: u64,
    /// Messages deleted within the stream. Of several shards' blocks in one stream that says nothing:
    /// each purge of another shard deletes some.
    deleted: u64,
}

/// A feed's events.
#[derive(Debug, Default)]
pub(super) struct FeedCount {
    /// All that it ever held.
    pub(super) accepted: EventCounts,
    /// Of these, what lies behind the cursor.
    pub(super) in_transit: EventCounts,
    /// The last message counted: the shard's last one, or the cursor.
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

/// A feed's stream as it is now.
pub(super) struct Look {
    pub(super) info: Info,
    /// Messages of this shard.
    own: u64,
}

impl Place<'_> {
    /// What the feed held before what is still there: what was noted of the last purge, and, where the log
    /// that knew of a later one was replaced by an older copy, what the log has of the blocks that are gone
    /// since. `first` is the feed's first message that is still there.
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

    /// The shard's first message after `after`; the stream's next one if there is none.
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

    /// Counts the shard's messages after `after`, up to and with `through`.
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

    /// The feed's stream as it is now.
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
        // One subject, so one page.
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
    /// Counts up to the stream's end.
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
            // Some that were counted are gone, and no purge was noted.
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

    /// Folds up to the cursor, and gives what lies behind it.
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
        // A look costs a reading of the log, so it is taken where something is missing.
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
        // A copy, so that whoever gives up waiting leaves all of it or nothing.
        let known = PurgeBase { through: self.through, accepted: self.replicated.clone() };
        let base = place.base(first, cursor, known).await?;
        if base.through > self.through {
            (self.through, self.replicated) = (base.through, base.accepted.clone());
            (self.base, self.messages) = (base, 0);
        }
        Ok(())
    }

    /// In steps, which are kept if whoever asked is gone before the last.
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

    /// What the feed held up to and with `through`, which is at or before the cursor; none if no message of
    /// it is behind what was noted before.
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
