//! Verdicts of a shard's central log, by origin and source, from the headers of its messages.

use std::collections::BTreeMap;

use async_nats::jetstream::Context;
use floodgate_event::block::EventCounts;
use floodgate_event::proto::log_block::Content;
use floodgate_event::proto::{LogBlock, Purge};
use floodgate_event::tally::Tallies;
use floodgate_event::{Lane, format, subject};

use super::{RegionStreams, STEP};
use crate::dedup::ledger::Feed;
use crate::reader::{ReadError, ReadMessage, StreamReader};
use crate::replicate::stage::Origin;

/// A fold of the log up to a sequence.
#[derive(Clone, Debug, Default)]
pub(super) struct LogFold {
    through: u64,
    /// First sequence and number of deleted messages when the fold was made: if they change, what is folded may be gone.
    shape: Option<(u64, u64)>,
    verdicts: BTreeMap<(Feed, String), Tallies>,
    purges: BTreeMap<(Feed, String), PurgeBase>,
}

/// What a regional stream held before it was purged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PurgeBase {
    /// The last purged sequence.
    pub(super) through: u64,
    /// Events up to there.
    pub(super) accepted: EventCounts,
}

impl LogFold {
    /// Folds on to `through`; from the beginning if the log lost messages since.
    pub(super) async fn advance(
        &mut self,
        context: &Context,
        shard: u32,
        through: u64,
    ) -> Result<(), ReadError> {
        let stream = context.get_stream(subject::log_stream(shard)).await;
        let stream = stream.map_err(|error| ReadError::from(async_nats::Error::from(error)))?;
        let state = &stream.cached_info().state;
        let shape = (state.first_sequence, state.deleted_count.unwrap_or(0));
        let stands = self.shape == Some(shape) && through >= self.through;
        if !stands {
            *self = Self { shape: Some(shape), ..Self::default() };
        }
        // Half a step is none: whoever asked may be gone before it is done. Whole ones are kept for the next to ask.
        while self.through < through {
            let mut next = self.clone();
            next.fold(context, shard, through.min(self.through + STEP)).await?;
            *self = next;
        }
        Ok(())
    }

    async fn fold(&mut self, context: &Context, shard: u32, through: u64) -> Result<(), ReadError> {
        let from = self.through + 1;
        let reader =
            |filter: String| StreamReader::new(context.clone(), subject::log_stream(shard), filter, from);
        let all = reader(subject::log_wildcard(shard)).headers_only();
        let control = reader(subject::log_control(shard));
        all.scan(through, |message| self.count(message)).await?;
        control.scan(through, |message| self.note_purge(message)).await?;
        self.through = through;
        Ok(())
    }

    fn count(&mut self, message: &ReadMessage) {
        if let (Some(origin), Some(tallies)) = (origin(message), tallies(message)) {
            self.verdicts.entry((origin.feed, origin.incarnation)).or_default().add(&tallies);
        }
    }

    fn note_purge(&mut self, message: &ReadMessage) {
        let Ok(block) = format::decode::<LogBlock>(message.payload.clone()) else { return };
        let Some(Content::Purge(purge)) = block.content else { return };
        let Ok(lane) = Lane::try_from(purge.lane) else { return };
        let key = (Feed { region: purge.region.clone(), lane }, purge.incarnation.clone());
        self.purges.insert(key, PurgeBase { through: purge.through, accepted: accepted(&purge) });
    }

    /// Every verdict in the log.
    pub(super) fn verdicts(&self) -> impl Iterator<Item = &Tallies> {
        self.verdicts.values()
    }

    /// What the feed's current stream held before its last purge.
    pub(super) fn purge(&self, feed: &Feed, incarnation: &str) -> PurgeBase {
        self.purges.get(&(feed.clone(), incarnation.to_owned())).cloned().unwrap_or_default()
    }

    /// Events that the log has of one incarnation of a feed.
    pub(super) fn of_incarnation(&self, feed: &Feed, incarnation: &str) -> EventCounts {
        self.counts(|known, of| known == feed && of == incarnation)
    }

    /// Events that the log has of the incarnations before this one.
    pub(super) fn of_earlier_incarnations(&self, feed: &Feed, incarnation: &str) -> EventCounts {
        self.counts(|known, of| known == feed && of != incarnation)
    }

    /// Events that the log has of regions other than these.
    pub(super) fn of_other_regions(&self, regions: &[RegionStreams]) -> EventCounts {
        self.counts(|known, _| regions.iter().all(|region| region.name.as_str() != known.region))
    }

    fn counts(&self, fits: impl Fn(&Feed, &str) -> bool) -> EventCounts {
        let mut counts = EventCounts::default();
        let fitting = self.verdicts.iter().filter(|((feed, incarnation), _)| fits(feed, incarnation));
        fitting.for_each(|(_, tallies)| add(&mut counts, tallies));
        counts
    }
}

fn origin(message: &ReadMessage) -> Option<Origin> {
    Origin::from_header(message.headers.as_ref()?.get(subject::ORIGIN_HEADER)?.as_str())
}

fn tallies(message: &ReadMessage) -> Option<Tallies> {
    message.headers.as_ref()?.get(subject::VERDICTS_HEADER)?.as_str().parse().ok()
}

/// Events that the log has of the blocks of a regional stream after `after`, up to and with `through`.
pub(super) async fn events_between(
    context: &Context,
    shard: u32,
    feed: &Feed,
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
        if origin(message).is_some_and(|origin| within(&origin)) {
            tallies(message).iter().for_each(|tallies| add(&mut counts, tallies));
        }
    };
    reader.scan(u64::MAX, count).await?;
    Ok(counts)
}

fn add(counts: &mut EventCounts, tallies: &Tallies) {
    for (source, tally) in &tallies.0 {
        *counts.0.entry(source.clone()).or_default() += tally.total();
    }
}

fn accepted(purge: &Purge) -> EventCounts {
    let named = purge.accepted.iter().filter_map(|events| Some((events.source.parse().ok()?, events.count)));
    EventCounts(named.collect())
}
