//! Counts the verdicts in a shard's central log, by origin and source, from the headers of its messages.

use std::collections::BTreeMap;
use std::time::SystemTime;

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use floodgate_event::block::EventCounts;
use floodgate_event::proto::log_block::Content;
use floodgate_event::proto::{LogBlock, Purge};
use floodgate_event::tally::Tallies;
use floodgate_event::{Lane, Name, ShardId, format, subject};
use floodgate_stream::RegionConnection;
use floodgate_stream::reader::{ReadError, ReadMessage, StreamReader};

use super::{STEP, add_counts};
use crate::cursor::{Cursor, RegionLane};
use crate::cursors::{self, LogCursors};
use crate::stage::Origin;

/// What was counted in the log, up to a sequence.
#[derive(Clone, Debug, Default)]
pub(super) struct LogFold {
    through: u64,
    /// The stream's shape when the fold was made. If it changes, messages that were counted may be gone.
    shape: Option<Shape>,
    verdicts: BTreeMap<(RegionLane, String), Tallies>,
    purges: BTreeMap<(RegionLane, String), PurgeBase>,
    cursors: LogCursors,
    /// When the last event of each source arrived, by the server's clock.
    last: BTreeMap<Name, SystemTime>,
    uncounted: BTreeMap<Lane, Stored>,
}

/// When the stream was created, its first sequence, and how many messages were deleted from its middle.
type Shape = (i128, u64, u64);

/// Events stored through one lane, up to and including a sequence of the log.
#[derive(Clone, Debug, Default)]
struct Stored {
    through: u64,
    events: EventCounts,
}

/// What a regional stream held before a purge removed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PurgeBase {
    /// The last purged sequence.
    pub(super) through: u64,
    /// How many events there were up to that sequence.
    pub(super) accepted: EventCounts,
}

impl LogFold {
    /// Counts on to the end of the log, and returns its last sequence. Begins anew if the log lost messages.
    pub(super) async fn advance(&mut self, context: &Context, shard: ShardId) -> Result<u64, ReadError> {
        let stream = context.get_stream(subject::log_stream(shard)).await;
        let stream = stream.map_err(|error| ReadError::from(async_nats::Error::from(error)))?;
        let info = stream.cached_info();
        let (state, through) = (&info.state, info.state.last_sequence);
        let made = info.created.unix_timestamp_nanos();
        let shape = (made, state.first_sequence, state.deleted_count.unwrap_or(0));
        let stands = self.shape == Some(shape) && through >= self.through;
        if !stands {
            *self = Self { shape: Some(shape), ..Self::default() };
        }
        // A caller may give up at any moment. A step that is not complete is then dropped, and complete ones
        // are kept for the next caller.
        while self.through < through {
            let mut next = self.clone();
            next.fold(context, shard, through.min(self.through + STEP)).await?;
            *self = next;
        }
        Ok(through)
    }

    /// Counts the events that the log stored through a lane, up to and including `through`. Those are the
    /// ones that an earlier release routed without counting them.
    pub(super) async fn stored_through(
        &mut self,
        context: &Context,
        shard: ShardId,
        lane: Lane,
        through: u64,
    ) -> Result<&EventCounts, ReadError> {
        let known = self.uncounted.entry(lane).or_default();
        if through < known.through {
            *known = Stored::default();
        }
        while known.through < through {
            let next = through.min(known.through + STEP);
            let more = stored_between(context, shard, lane, known.through, next).await?;
            add_counts(&mut known.events, &more);
            known.through = next;
        }
        Ok(&known.events)
    }

    async fn fold(&mut self, context: &Context, shard: ShardId, through: u64) -> Result<(), ReadError> {
        let from = self.through + 1;
        let reader =
            |filter: String| StreamReader::new(context.clone(), subject::log_stream(shard), filter, from);
        let all = reader(subject::log_wildcard(shard)).headers_only();
        let control = reader(subject::log_control(shard));
        all.scan(through, |message| self.count(message)).await?;
        control.scan(through, |message| self.note_control(message)).await?;
        self.through = through;
        Ok(())
    }

    fn count(&mut self, message: &ReadMessage) {
        self.cursors.note_replica(message);
        if let (Some(origin), Some(tallies)) = (cursors::origin(message), tallies(message)) {
            for source in tallies.0.keys() {
                self.last.insert(source.clone(), message.published);
            }
            self.verdicts.entry((origin.feed, origin.incarnation)).or_default().add(&tallies);
        }
    }

    fn note_control(&mut self, message: &ReadMessage) {
        self.cursors.note_control(message);
        let Ok(block) = format::decode::<LogBlock>(message.payload.clone()) else { return };
        let Some(Content::Purge(purge)) = block.content else { return };
        let Ok(lane) = Lane::try_from(purge.lane) else { return };
        let key = (RegionLane { region: purge.region.clone(), lane }, purge.incarnation.clone());
        self.purges.insert(key, PurgeBase { through: purge.through, accepted: accepted(&purge) });
    }

    /// How far the log has a feed.
    pub(super) fn cursor(&self, feed: &RegionLane) -> Cursor {
        self.cursors.of(feed)
    }

    /// When the last event of a source arrived.
    pub(super) fn last_of(&self, source: &Name) -> Option<SystemTime> {
        self.last.get(source).copied()
    }

    /// Every verdict in the log.
    pub(super) fn verdicts(&self) -> impl Iterator<Item = &Tallies> {
        self.verdicts.values()
    }

    /// What the feed's present stream held before its last purge.
    pub(super) fn purge(&self, feed: &RegionLane, incarnation: &str) -> PurgeBase {
        self.purges.get(&(feed.clone(), incarnation.to_owned())).cloned().unwrap_or_default()
    }

    /// Counts the log's events from one incarnation of a feed.
    pub(super) fn of_incarnation(&self, feed: &RegionLane, incarnation: &str) -> EventCounts {
        self.counts(|known, of| known == feed && of == incarnation)
    }

    /// Counts the log's events from all other incarnations of a feed.
    pub(super) fn of_earlier_incarnations(&self, feed: &RegionLane, incarnation: &str) -> EventCounts {
        self.counts(|known, of| known == feed && of != incarnation)
    }

    /// Counts the log's events from regions that are not among these.
    pub(super) fn of_other_regions(&self, regions: &[RegionConnection]) -> EventCounts {
        self.counts(|known, _| regions.iter().all(|region| region.name.as_str() != known.region))
    }

    fn counts(&self, fits: impl Fn(&RegionLane, &str) -> bool) -> EventCounts {
        let mut counts = EventCounts::default();
        let fitting = self.verdicts.iter().filter(|((feed, incarnation), _)| fits(feed, incarnation));
        fitting.for_each(|(_, tallies)| add(&mut counts, tallies));
        counts
    }
}

fn tallies(message: &ReadMessage) -> Option<Tallies> {
    message.headers.as_ref()?.get(subject::VERDICTS_HEADER)?.as_str().parse().ok()
}

/// Counts the log's events from the blocks of a regional stream after `after`, up to and including `through`.
pub(super) async fn events_between(
    context: &Context,
    shard: ShardId,
    feed: &RegionLane,
    incarnation: &str,
    (after, through): (u64, u64),
) -> Result<EventCounts, ReadError> {
    let subject = subject::log(shard, feed.lane);
    let reader = StreamReader::new(context.clone(), subject::log_stream(shard), subject, 1).headers_only();
    let mut counts = EventCounts::default();
    let within = |origin: &Origin| {
        origin.feed == *feed
            && origin.incarnation == incarnation
            && (after + 1..=through).contains(&origin.sequence)
    };
    let count = |message: &ReadMessage| {
        if cursors::origin(message).is_some_and(|origin| within(&origin)) {
            tallies(message).iter().for_each(|tallies| add(&mut counts, tallies));
        }
    };
    reader.scan(u64::MAX, count).await?;
    Ok(counts)
}

/// Counts the events that the log stored through a lane after `after`, up to and including `through`.
pub(super) async fn stored_between(
    context: &Context,
    shard: ShardId,
    lane: Lane,
    after: u64,
    through: u64,
) -> Result<EventCounts, ReadError> {
    let (stream, subject) = (subject::log_stream(shard), subject::log(shard, lane));
    let reader = StreamReader::new(context.clone(), stream, subject, after + 1).headers_only();
    let mut counts = EventCounts::default();
    let count = |message: &ReadMessage| {
        for (source, tally) in tallies(message).iter().flat_map(|tallies| &tallies.0) {
            counts.add(source, tally.stored);
        }
    };
    reader.scan(through, count).await?;
    Ok(counts)
}

/// The last sequence of the log's control subject, where purges of regions and new streams are noted.
pub(super) async fn last_control(context: &Context, shard: ShardId) -> Result<u64, ReadError> {
    let failed = |error: async_nats::Error| ReadError::from(error);
    let stream = context.get_stream_no_info(subject::log_stream(shard)).await;
    let stream = stream.map_err(|error| failed(error.into()))?;
    match stream.get_last_raw_message_by_subject(&subject::log_control(shard)).await {
        Ok(message) => Ok(message.sequence),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(0),
        Err(error) => Err(failed(error.into())),
    }
}

fn add(counts: &mut EventCounts, tallies: &Tallies) {
    for (source, tally) in &tallies.0 {
        counts.add(source, tally.total());
    }
}

fn accepted(purge: &Purge) -> EventCounts {
    let named = purge.accepted.iter().filter_map(|events| Some((events.source.parse().ok()?, events.count)));
    EventCounts(named.collect())
}
