//! Adds up what the folds count, in the form that the admin API shows.

use floodgate_api::books::{Books, Deliveries, Events, FeedCut, LaneCut, LogCut, SourceBooks, Unknown};
use floodgate_event::block::EventCounts;
use floodgate_event::deliveries::{DeliveryBooks, LaneRouting, Totals};
use floodgate_event::tally::{self, Tally};
use floodgate_event::{Lane, ShardId};

use super::log_fold::LogFold;
use super::region_fold::FeedCount;
use crate::cursor::{Cursor, RegionLane};

/// Books of one shard or of several, before the sums are made.
#[derive(Default)]
pub(super) struct Sheet(Books);

impl Sheet {
    /// Adds the sheet of another shard.
    pub(super) fn append(&mut self, Self(other): Self) {
        for (name, more) in &other.sources {
            let source = self.source(name);
            add_events(&mut source.events, &more.events);
            add_deliveries(&mut source.deliveries, &more.deliveries);
        }
        let Self(books) = self;
        books.unknown.extend(other.unknown);
        books.cut.log.extend(other.cut.log);
        books.cut.journal.extend(other.cut.journal);
        books.cut.lanes.extend(other.cut.lanes);
        books.cut.feeds.extend(other.cut.feeds);
    }

    pub(super) fn add_routed(&mut self, routing: &LaneRouting, uncounted: &EventCounts) {
        for (source, counts) in &routing.sources {
            let events = &mut self.source(source).events;
            tally::add(events.routed.get_or_insert_default(), counts.routed);
            tally::add(&mut events.unmatched, counts.unmatched);
        }
        for (source, count) in &uncounted.0 {
            tally::add(self.source(source).events.routed.get_or_insert_default(), *count);
        }
    }

    pub(super) fn add_to_match(&mut self, counts: &EventCounts) {
        for (source, count) in &counts.0 {
            tally::add(&mut self.source(source).events.to_match, *count);
        }
    }

    pub(super) fn add_verdicts(&mut self, log: &LogFold) {
        for (source, tally) in log.verdicts().flat_map(|tallies| &tallies.0) {
            add_tally(&mut self.source(source).events, tally);
        }
    }

    pub(super) fn add_accepted(&mut self, counts: &EventCounts) {
        for (source, count) in &counts.0 {
            tally::add(&mut self.source(source).events.accepted, *count);
        }
    }

    pub(super) fn add_feed(&mut self, shard: ShardId, feed: &RegionLane, cursor: &Cursor, count: &FeedCount) {
        self.add_accepted(&count.accepted);
        for (source, count) in &count.in_transit.0 {
            tally::add(&mut self.source(source).events.in_transit, *count);
        }
        self.0.cut.feeds.push(FeedCut {
            shard,
            region: feed.region.clone(),
            lane: feed.lane,
            incarnation: cursor.incarnation.clone(),
            replicated: cursor.sequence,
            last: count.last_sequence,
        });
    }

    pub(super) fn add_unknown(&mut self, feed: &RegionLane, since_us: Option<u64>) {
        self.0.unknown.push(Unknown { region: feed.region.clone(), lane: feed.lane, since_us });
    }

    pub(super) fn add_deliveries(&mut self, shard: ShardId, books: &DeliveryBooks) {
        for (source, totals) in &books.sources {
            add_deliveries(&mut self.source(source).deliveries, &of_totals(*totals));
        }
        self.0.cut.journal.push(LogCut { shard, sequence: books.cut });
    }

    /// Records up to where the shard's log was read.
    pub(super) fn cut_log(&mut self, shard: ShardId, sequence: u64) {
        self.0.cut.log.push(LogCut { shard, sequence });
    }

    /// Records how far a lane of the shard's log is routed, and how many events are stored behind that.
    pub(super) fn cut_lane(&mut self, shard: ShardId, lane: Lane, routed: u64, to_match: u64) {
        self.0.cut.lanes.push(LaneCut { shard, lane, routed, to_match });
    }

    /// Makes the sums, once everything is added.
    pub(super) fn close(self) -> Books {
        let Self(mut books) = self;
        for source in books.sources.values_mut() {
            close_events(&mut source.events);
            close_deliveries(&mut source.deliveries);
            add_events(&mut books.events, &source.events);
            add_deliveries(&mut books.deliveries, &source.deliveries);
        }
        close_events(&mut books.events);
        close_deliveries(&mut books.deliveries);
        books.balanced = books.sources.values().all(is_balanced) && books.unknown.is_empty();
        books
    }

    fn source(&mut self, name: &str) -> &mut SourceBooks {
        self.0.sources.entry(name.to_owned()).or_default()
    }
}

fn is_balanced(source: &SourceBooks) -> bool {
    let Events { difference, routing_difference, .. } = source.events;
    difference == 0 && routing_difference == 0 && source.deliveries.difference == 0
}

fn add_tally(events: &mut Events, tally: &Tally) {
    tally::add(&mut events.stored, tally.stored);
    tally::add(&mut events.duplicate, tally.duplicate);
    tally::add(&mut events.filtered, tally.filtered);
    tally::add(&mut events.responded, tally.responded);
    tally::add(&mut events.quarantined, tally::sum([tally.quarantined, tally.set_aside]));
    tally::add(&mut events.set_aside, tally.set_aside);
}

fn add_events(sum: &mut Events, more: &Events) {
    tally::add(&mut sum.accepted, more.accepted);
    tally::add(&mut sum.stored, more.stored);
    tally::add(&mut sum.duplicate, more.duplicate);
    tally::add(&mut sum.filtered, more.filtered);
    tally::add(&mut sum.responded, more.responded);
    tally::add(&mut sum.quarantined, more.quarantined);
    tally::add(&mut sum.set_aside, more.set_aside);
    tally::add(&mut sum.in_transit, more.in_transit);
    tally::add(sum.routed.get_or_insert_default(), more.routed.unwrap_or_default());
    tally::add(&mut sum.unmatched, more.unmatched);
    tally::add(&mut sum.to_match, more.to_match);
}

fn add_deliveries(sum: &mut Deliveries, more: &Deliveries) {
    tally::add(&mut sum.matched, more.matched);
    tally::add(&mut sum.delivered, more.delivered);
    tally::add(&mut sum.dead, more.dead);
    tally::add(&mut sum.discarded, more.discarded);
    tally::add(&mut sum.pending, more.pending);
}

fn of_totals(Totals { matched, delivered, dead, discarded, pending }: Totals) -> Deliveries {
    Deliveries { matched, delivered, dead, discarded, pending, difference: 0 }
}

fn close_events(events: &mut Events) {
    let Events { stored, duplicate, filtered, responded, quarantined, in_transit, .. } = *events;
    let known = tally::sum([stored, duplicate, filtered, responded, quarantined, in_transit]);
    events.difference = difference(events.accepted, known);
    let routed = *events.routed.get_or_insert_default();
    events.routing_difference = difference(stored, tally::sum([routed, events.unmatched, events.to_match]));
}

fn close_deliveries(deliveries: &mut Deliveries) {
    let Deliveries { matched, delivered, dead, discarded, pending, .. } = *deliveries;
    deliveries.difference = difference(matched, tally::sum([delivered, dead, discarded, pending]));
}

fn difference(whole: u64, parts: u64) -> i64 {
    whole.wrapping_sub(parts).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_verdict_is_a_positive_difference() {
        let mut events = Events { accepted: 5, stored: 2, duplicate: 1, in_transit: 1, ..Events::default() };
        close_events(&mut events);
        assert_eq!(events.difference, 1);
        events.filtered = 2;
        close_events(&mut events);
        assert_eq!(events.difference, -1);
    }

    #[test]
    fn books_with_counts_that_are_full_close() {
        let full = Tally { stored: u64::MAX, set_aside: u64::MAX, ..Tally::default() };
        let mut sheet = Sheet::default();
        for source in ["github", "stripe"] {
            add_tally(&mut sheet.source(source).events, &full);
            add_tally(&mut sheet.source(source).events, &full);
        }
        let books = sheet.close();
        assert_eq!(
            (books.events.stored, books.events.quarantined, books.balanced),
            (u64::MAX, u64::MAX, false)
        );
    }

    #[test]
    fn a_stored_event_that_nobody_routed_is_a_difference_of_its_own() {
        let mut events = Events {
            accepted: 5,
            stored: 5,
            routed: Some(2),
            unmatched: 1,
            to_match: 1,
            ..Events::default()
        };
        close_events(&mut events);
        assert_eq!((events.difference, events.routing_difference), (0, 1));
        let source = SourceBooks { events, ..SourceBooks::default() };
        assert!(!is_balanced(&source));
    }

    /// Without `routed`, a client would take the books for those of an earlier release.
    #[test]
    fn what_is_routed_is_always_said() {
        let mut sheet = Sheet::default();
        sheet.source("stripe");
        let books = sheet.close();
        assert_eq!((books.events.routed, books.sources["stripe"].events.routed), (Some(0), Some(0)));
        assert_eq!(Sheet::default().close().events.routed, Some(0));
    }

    #[test]
    fn shards_add_up() {
        let shard = |number, stored, routed| {
            let mut sheet = Sheet::default();
            let routed = Some(routed);
            sheet.source("stripe").events = Events { accepted: stored, stored, routed, ..Events::default() };
            sheet.cut_log(ShardId::new(number), 1);
            sheet
        };
        let mut sheet = Sheet::default();
        sheet.append(shard(0, 3, 3));
        sheet.append(shard(1, 4, 3));
        let books = sheet.close();
        assert_eq!((books.events.stored, books.events.routing_difference, books.balanced), (7, 1, false));
        assert_eq!(books.cut.log.len(), 2);
    }
}
