//! Checks how far the centre is behind each region. It is normal to be behind under load, but not to make no
//! progress. So what is behind is checked twice.

use std::collections::BTreeMap;

use floodgate_api::books::{Cut, FeedCut, LaneCut};
use floodgate_event::{ShardId, subject};

use super::finding::{Advice, Findings, State};

/// More events than this in transit are a warning.
const MANY: u64 = 100_000;

fn behind(feed: &FeedCut) -> u64 {
    feed.last.saturating_sub(feed.replicated)
}

fn is_same(one: &FeedCut, other: &FeedCut) -> bool {
    (one.shard, &one.region, one.lane) == (other.shard, &other.region, other.lane)
}

/// Returns true if a region holds blocks that are not in the log, or the log holds events that are not in the
/// journal.
pub(super) fn is_behind(cut: &Cut) -> bool {
    cut.feeds.iter().any(|feed| behind(feed) > 0) || cut.lanes.iter().any(|lane| lane.to_match > 0)
}

/// Adds what made no progress between two readings of the books, and how many events are in transit.
pub(super) fn judge(before: &Cut, later: &Cut, in_transit: u64, findings: &mut Findings) {
    judge_feeds(before, later, in_transit, findings);
    judge_journals(before, later, findings);
}

/// A journal that takes no records stops the deliveries of its shard, and no pending delivery shows it.
fn judge_journals(before: &Cut, later: &Cut, findings: &mut Findings) {
    let mut stuck: BTreeMap<ShardId, u64> = BTreeMap::new();
    for lane in later.lanes.iter().filter(|lane| is_unrouted(before, lane)) {
        *stuck.entry(lane.shard).or_default() += lane.to_match;
    }
    for (shard, events) in &stuck {
        let advice = Advice(
            "They are safe in the log, and nobody gets them.",
            "see whether the journal is full (its max_bytes, the server's store, the disk) or gone, and the relay's log",
        );
        let found = format!("has stopped: {events} stored events wait to be matched");
        findings.wrong("journal", subject::journal_stream(*shard), found, advice);
    }
    if stuck.is_empty() {
        let events: u64 = later.lanes.iter().map(|lane| lane.to_match).sum();
        findings.ok("journal", "centre", format!("{events} stored events to match"));
    }
}

fn is_unrouted(cut: &Cut, later: &LaneCut) -> bool {
    let same = |lane: &&LaneCut| (lane.shard, &lane.lane) == (later.shard, &later.lane);
    let before = cut.lanes.iter().find(same);
    later.to_match > 0 && before.is_some_and(|lane| lane.to_match > 0 && lane.routed == later.routed)
}

fn judge_feeds(before: &Cut, later: &Cut, in_transit: u64, findings: &mut Findings) {
    let stuck: Vec<_> = later.feeds.iter().filter(|feed| is_stuck(before, feed)).collect();
    for feed in &stuck {
        let subject = format!("{} lane of {}", feed.lane, feed.region);
        let advice = Advice(
            "Its events are safe in the region, and nobody gets them.",
            "look at the relay's log, at the link to the region, and whether SET_ASIDE is full",
        );
        findings.wrong(
            "replication",
            subject,
            format!("has stopped, {} blocks behind", behind(feed)),
            advice,
        );
    }
    if stuck.is_empty() {
        let state = if in_transit < MANY { State::Ok } else { State::Warning };
        let advice = Advice("Deliveries are late by as much.", "wait, or find out what slows the relay down");
        findings.add_judged(
            state,
            "replication",
            "regions",
            format!("{in_transit} events under way"),
            advice,
        );
    }
}

fn is_stuck(cut: &Cut, later: &FeedCut) -> bool {
    let before = cut.feeds.iter().find(|feed| is_same(feed, later));
    before.is_some_and(|before| behind(before) > 0 && before.replicated == later.replicated)
}

#[cfg(test)]
mod tests {
    use floodgate_event::Lane;

    use super::*;

    fn cut(replicated: u64, last: u64) -> Cut {
        let (region, lane, incarnation) = ("eu".into(), Lane::Bulk, String::new());
        let feed = FeedCut { shard: ShardId::FIRST, region, lane, incarnation, replicated, last };
        Cut { feeds: vec![feed], ..Cut::default() }
    }

    fn journal(shard: u32, routed: u64, to_match: u64) -> Cut {
        let shard = ShardId::new(shard);
        let lane = LaneCut { shard, lane: Lane::Bulk, routed, to_match };
        Cut { lanes: vec![lane], ..Cut::default() }
    }

    #[test]
    fn a_journal_that_takes_nothing_is_named() {
        let cases = [
            ((5, 0), (5, 9), false),
            ((5, 9), (6, 20), false),
            ((5, 9), (5, 12), true),
            ((5, 9), (5, 0), false),
        ];
        for (before, later, wrong) in cases {
            let (before, later) = (journal(2, before.0, before.1), journal(2, later.0, later.1));
            let mut findings = Findings::default();
            judge(&before, &later, 0, &mut findings);
            let named = findings.all().iter().any(|finding| finding.subject == "JOURNAL_2");
            assert_eq!((findings.count_wrong() > 0, named), (wrong, wrong), "{before:?} {later:?}");
        }
    }

    #[test]
    fn standing_still_is_wrong_and_being_behind_is_not() {
        for (before, later, wrong) in [((5, 5), (5, 9), 0), ((5, 9), (9, 20), 0), ((5, 9), (5, 12), 1)] {
            let mut findings = Findings::default();
            judge(&cut(before.0, before.1), &cut(later.0, later.1), 7, &mut findings);
            assert_eq!((findings.count_wrong(), findings.len()), (wrong, 2), "{before:?} {later:?}");
        }
    }
}
