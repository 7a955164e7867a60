//! The books as they are shown.

use std::collections::BTreeMap;

use floodgate_event::Lane;
use floodgate_event::block::EventCounts;
use floodgate_event::deliveries::{DeliveryBooks, LaneRouting, Totals};
use floodgate_event::tally::Tally;
use serde::Serialize;

use super::log_fold::LogFold;
use super::region_fold::FeedCount;
use crate::dedup::ledger::{Cursor, Feed};

/// Both balances, in all and per source, with the cut they were taken at.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Books {
    /// Whether both balances hold, and no region is out of reach.
    pub balanced: bool,
    /// What came in and what it was found to be.
    pub events: Events,
    /// What was to be delivered and what became of it.
    pub deliveries: Deliveries,
    /// Both, by source.
    pub sources: BTreeMap<String, SourceBooks>,
    /// Feeds that could not be asked. Of these, only what the log has is counted.
    pub unknown: Vec<Unknown>,
    /// The positions up to which everything was counted.
    pub cut: CutSheet,
}

/// `accepted = stored + duplicate + filtered + responded + quarantined + in_transit`, and
/// `stored = routed + unmatched + to_match`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Events {
    /// Events in regional streams, purged ones included.
    pub accepted: u64,
    /// First copies.
    pub stored: u64,
    /// Further copies.
    pub duplicate: u64,
    /// Dropped by a handler.
    pub filtered: u64,
    /// Answered by a handler.
    pub responded: u64,
    /// Kept because a handler failed, or because the block cannot be decoded (`set_aside`).
    pub quarantined: u64,
    /// Of the quarantined: events in blocks that cannot be decoded.
    pub set_aside: u64,
    /// Not copied yet.
    pub in_transit: u64,
    /// `accepted` less all the others: 0 when the books balance, positive when something is missing.
    pub difference: i64,
    /// Of the stored: matched to at least one destination.
    pub routed: u64,
    /// Of the stored: no destination subscribed to them.
    pub unmatched: u64,
    /// Of the stored: behind the journal's cursor in the log, so not matched to destinations yet.
    pub to_match: u64,
    /// `stored` less these three.
    pub routing_difference: i64,
}

/// `matched = delivered + dead + discarded + pending`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Deliveries {
    /// Events times the destinations that subscribed to them.
    #[serde(flatten)]
    pub totals: Totals,
    /// `matched` less all the others.
    pub difference: i64,
}

/// A source's books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SourceBooks {
    /// Its events.
    pub events: Events,
    /// Their deliveries.
    pub deliveries: Deliveries,
}

/// A feed that could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// Its region.
    pub region: String,
    /// Its lane.
    pub lane: Lane,
    /// Since when, as Unix time in microseconds; absent if it was reached a moment ago.
    pub since_us: Option<u64>,
}

/// Positions in the streams.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CutSheet {
    /// In each shard's central log.
    pub log: Vec<LogCut>,
    /// In each shard's journal.
    pub journal: Vec<LogCut>,
    /// How far the journal has each lane of the log.
    pub lanes: Vec<LaneCut>,
    /// In each regional stream.
    pub feeds: Vec<FeedCut>,
}

/// A position in a central stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogCut {
    /// The shard.
    pub shard: u32,
    /// The last message counted.
    pub sequence: u64,
}

/// How far a lane of a shard's log is routed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LaneCut {
    /// The shard.
    pub shard: u32,
    /// The lane.
    pub lane: Lane,
    /// The last message of the log that its deliveries are journaled of.
    pub routed: u64,
    /// Events stored behind it.
    pub to_match: u64,
}

/// A position in a regional stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FeedCut {
    /// The shard.
    pub shard: u32,
    /// The region.
    pub region: String,
    /// The lane.
    pub lane: Lane,
    /// The stream's incarnation.
    pub incarnation: String,
    /// The last message that is in the log.
    pub replicated: u64,
    /// The shard's last message, or else the last that is in the log.
    pub last: u64,
}

impl Books {
    /// Adds another shard's.
    pub(super) fn append(&mut self, other: Self) {
        for (name, more) in &other.sources {
            let source = self.source(name);
            source.events.add(&more.events);
            source.deliveries.totals = source.deliveries.totals.plus(&more.deliveries.totals);
        }
        self.unknown.extend(other.unknown);
        self.cut.log.extend(other.cut.log);
        self.cut.journal.extend(other.cut.journal);
        self.cut.lanes.extend(other.cut.lanes);
        self.cut.feeds.extend(other.cut.feeds);
    }

    pub(super) fn add_routed(&mut self, routing: &LaneRouting, uncounted: &EventCounts) {
        for (source, counts) in &routing.sources {
            let events = &mut self.source(source).events;
            events.routed += counts.routed;
            events.unmatched += counts.unmatched;
        }
        for (source, count) in &uncounted.0 {
            self.source(source).events.routed += count;
        }
    }

    pub(super) fn add_to_match(&mut self, counts: &EventCounts) {
        for (source, count) in &counts.0 {
            self.source(source).events.to_match += count;
        }
    }

    pub(super) fn add_verdicts(&mut self, log: &LogFold) {
        for (source, tally) in log.verdicts().flat_map(|tallies| &tallies.0) {
            self.source(source).events.add_tally(tally);
        }
    }

    pub(super) fn add_accepted(&mut self, counts: &EventCounts) {
        for (source, count) in &counts.0 {
            self.source(source).events.accepted += count;
        }
    }

    pub(super) fn add_feed(&mut self, shard: u32, feed: &Feed, cursor: &Cursor, count: &FeedCount) {
        self.add_accepted(&count.accepted);
        for (source, count) in &count.in_transit.0 {
            self.source(source).events.in_transit += count;
        }
        self.cut.feeds.push(FeedCut {
            shard,
            region: feed.region.clone(),
            lane: feed.lane,
            incarnation: cursor.incarnation.clone(),
            replicated: cursor.sequence,
            last: count.last_sequence,
        });
    }

    pub(super) fn add_unknown(&mut self, feed: &Feed, since_us: Option<u64>) {
        self.unknown.push(Unknown { region: feed.region.clone(), lane: feed.lane, since_us });
    }

    pub(super) fn add_deliveries(&mut self, shard: u32, books: &DeliveryBooks) {
        for (source, totals) in &books.sources {
            let deliveries = &mut self.source(source).deliveries;
            deliveries.totals = deliveries.totals.plus(totals);
        }
        self.cut.journal.push(LogCut { shard, sequence: books.cut });
    }

    /// Sums up, once everything is added.
    pub(super) fn close(&mut self) {
        for source in self.sources.values_mut() {
            source.events.close();
            source.deliveries.close();
            self.events.add(&source.events);
            self.deliveries.totals = self.deliveries.totals.plus(&source.deliveries.totals);
        }
        self.events.close();
        self.deliveries.close();
        let sources_balance = self.sources.values().all(SourceBooks::is_balanced);
        self.balanced = sources_balance && self.unknown.is_empty();
    }

    fn source(&mut self, name: &str) -> &mut SourceBooks {
        self.sources.entry(name.to_owned()).or_default()
    }
}

impl SourceBooks {
    fn is_balanced(&self) -> bool {
        let Events { difference, routing_difference, .. } = self.events;
        difference == 0 && routing_difference == 0 && self.deliveries.difference == 0
    }
}

impl Events {
    fn add_tally(&mut self, tally: &Tally) {
        self.stored += tally.stored;
        self.duplicate += tally.duplicate;
        self.filtered += tally.filtered;
        self.responded += tally.responded;
        self.quarantined += tally.quarantined + tally.set_aside;
        self.set_aside += tally.set_aside;
    }

    fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.stored += other.stored;
        self.duplicate += other.duplicate;
        self.filtered += other.filtered;
        self.responded += other.responded;
        self.quarantined += other.quarantined;
        self.set_aside += other.set_aside;
        self.in_transit += other.in_transit;
        self.routed += other.routed;
        self.unmatched += other.unmatched;
        self.to_match += other.to_match;
    }

    fn close(&mut self) {
        let known = self.stored + self.duplicate + self.filtered + self.responded + self.quarantined;
        self.difference = difference(self.accepted, known + self.in_transit);
        self.routing_difference = difference(self.stored, self.routed + self.unmatched + self.to_match);
    }
}

impl Deliveries {
    fn close(&mut self) {
        let Totals { matched, delivered, dead, discarded, pending } = self.totals;
        self.difference = difference(matched, delivered + dead + discarded + pending);
    }
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
        events.close();
        assert_eq!(events.difference, 1);
        events.filtered = 2;
        events.close();
        assert_eq!(events.difference, -1);
    }

    #[test]
    fn a_stored_event_that_nobody_routed_is_a_difference_of_its_own() {
        let mut events =
            Events { accepted: 5, stored: 5, routed: 2, unmatched: 1, to_match: 1, ..Events::default() };
        events.close();
        assert_eq!((events.difference, events.routing_difference), (0, 1));
        let source = SourceBooks { events, ..SourceBooks::default() };
        assert!(!source.is_balanced());
    }

    #[test]
    fn shards_add_up() {
        let shard = |number, stored, routed| {
            let mut books = Books::default();
            books.source("stripe").events = Events { accepted: stored, stored, routed, ..Events::default() };
            books.cut.log.push(LogCut { shard: number, sequence: 1 });
            books
        };
        let mut books = Books::default();
        books.append(shard(0, 3, 3));
        books.append(shard(1, 4, 3));
        books.close();
        assert_eq!((books.events.stored, books.events.routing_difference, books.balanced), (7, 1, false));
        assert_eq!(books.cut.log.len(), 2);
    }
}
