//! How far the centre is behind each region. Being behind is normal under load; standing still is not, so
//! what is behind is looked at twice.

use std::collections::BTreeMap;

use floodgate_event::subject;
use serde::Deserialize;

use super::finding::{Advice, Findings, State};

/// Events under way that are too many to be a moment's.
const MANY: u64 = 100_000;

/// What the books say of positions.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Cut {
    feeds: Vec<Feed>,
    /// Not told by a relay of an earlier release.
    #[serde(default)]
    lanes: Vec<Routed>,
}

/// How far the journal has a lane of a shard's log.
#[derive(Clone, Debug, Deserialize)]
struct Routed {
    shard: u32,
    lane: String,
    /// The last block of the log that it has.
    routed: u64,
    /// Events behind that.
    to_match: u64,
}

#[derive(Clone, Debug, Deserialize)]
struct Feed {
    shard: u32,
    region: String,
    lane: String,
    /// The last block that the log has.
    replicated: u64,
    /// The last block that the region has.
    last: u64,
}

impl Feed {
    fn behind(&self) -> u64 {
        self.last.saturating_sub(self.replicated)
    }

    fn is_same(&self, other: &Self) -> bool {
        (self.shard, &self.region, &self.lane) == (other.shard, &other.region, &other.lane)
    }
}

impl Cut {
    /// Whether a region holds blocks that the log has not, or the log events that the journal has not.
    pub(super) fn is_behind(&self) -> bool {
        self.feeds.iter().any(|feed| feed.behind() > 0) || self.lanes.iter().any(|lane| lane.to_match > 0)
    }

    /// Notes what stands still between two looks, and how much is under way.
    pub(super) fn judge(&self, later: &Self, in_transit: u64, findings: &mut Findings) {
        self.judge_feeds(later, in_transit, findings);
        self.judge_journals(later, findings);
    }

    /// A journal that takes nothing stops the deliveries of its shard, and no delivery is
    /// pending that would show it.
    fn judge_journals(&self, later: &Self, findings: &mut Findings) {
        let mut stuck: BTreeMap<u32, u64> = BTreeMap::new();
        for lane in later.lanes.iter().filter(|lane| self.is_unrouted(lane)) {
            *stuck.entry(lane.shard).or_default() += lane.to_match;
        }
        for (shard, events) in &stuck {
            let advice = Advice(
                "They are safe in the log, and nobody gets them.",
                "see whether the journal is full (its max_bytes, the server's store, the disk) or gone, and the relay's log",
            );
            let found = format!("stands still, {events} stored events are to match");
            findings.wrong_is("journal", subject::journal_stream(*shard), found, advice);
        }
        if stuck.is_empty() {
            let events: u64 = later.lanes.iter().map(|lane| lane.to_match).sum();
            findings.well("journal", "centre", format!("{events} stored events to match"));
        }
    }

    fn is_unrouted(&self, later: &Routed) -> bool {
        let same = |lane: &&Routed| (lane.shard, &lane.lane) == (later.shard, &later.lane);
        let before = self.lanes.iter().find(same);
        later.to_match > 0 && before.is_some_and(|lane| lane.to_match > 0 && lane.routed == later.routed)
    }

    fn judge_feeds(&self, later: &Self, in_transit: u64, findings: &mut Findings) {
        let stuck: Vec<_> = later.feeds.iter().filter(|feed| self.is_stuck(feed)).collect();
        for feed in &stuck {
            let subject = format!("{} lane of {}", feed.lane, feed.region);
            let advice = Advice(
                "Its events are safe in the region, and nobody gets them.",
                "look at the relay's log, at the link to the region, and whether SET_ASIDE is full",
            );
            findings.wrong_is(
                "replication",
                subject,
                format!("stands still, {} blocks behind", feed.behind()),
                advice,
            );
        }
        if stuck.is_empty() {
            let state = if in_transit < MANY { State::Well } else { State::Warning };
            let advice =
                Advice("Deliveries are late by as much.", "wait, or find out what slows the relay down");
            findings.judged(
                state,
                "replication",
                "regions",
                format!("{in_transit} events under way"),
                advice,
            );
        }
    }

    fn is_stuck(&self, later: &Feed) -> bool {
        let before = self.feeds.iter().find(|feed| feed.is_same(later));
        before.is_some_and(|before| before.behind() > 0 && before.replicated == later.replicated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(replicated: u64, last: u64) -> Cut {
        let feed = Feed { shard: 0, region: "eu".into(), lane: "bulk".into(), replicated, last };
        Cut { feeds: vec![feed], lanes: Vec::new() }
    }

    fn journal(shard: u32, routed: u64, to_match: u64) -> Cut {
        let lane = Routed { shard, lane: "bulk".into(), routed, to_match };
        Cut { feeds: Vec::new(), lanes: vec![lane] }
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
            before.judge(&later, 0, &mut findings);
            let named = findings.all().iter().any(|finding| finding.subject == "JOURNAL_2");
            assert_eq!((findings.wrong() > 0, named), (wrong, wrong), "{before:?} {later:?}");
        }
    }

    #[test]
    fn standing_still_is_wrong_and_being_behind_is_not() {
        for (before, later, wrong) in [((5, 5), (5, 9), 0), ((5, 9), (9, 20), 0), ((5, 9), (5, 12), 1)] {
            let mut findings = Findings::default();
            cut(before.0, before.1).judge(&cut(later.0, later.1), 7, &mut findings);
            assert_eq!((findings.wrong(), findings.len()), (wrong, 2), "{before:?} {later:?}");
        }
    }
}
