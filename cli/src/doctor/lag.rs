//! How far the centre is behind each region. Being behind is normal under load; standing still is not, so what is behind
//! is looked at twice.

use serde::Deserialize;

use super::finding::{Advice, Findings, State};

/// Events under way that are too many to be a moment's.
const MANY: u64 = 100_000;

/// What the books say of positions.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Cut {
    feeds: Vec<Feed>,
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
    /// Whether a region holds blocks that the log has not.
    pub(super) fn is_behind(&self) -> bool {
        self.feeds.iter().any(|feed| feed.behind() > 0)
    }

    /// Notes what stands still between two looks, and how much is under way.
    pub(super) fn judge(&self, later: &Self, in_transit: u64, findings: &mut Findings) {
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
        Cut { feeds: vec![feed] }
    }

    #[test]
    fn standing_still_is_wrong_and_being_behind_is_not() {
        for (before, later, wrong) in [((5, 5), (5, 9), 0), ((5, 9), (9, 20), 0), ((5, 9), (5, 12), 1)] {
            let mut findings = Findings::default();
            cut(before.0, before.1).judge(&cut(later.0, later.1), 7, &mut findings);
            assert_eq!((findings.wrong(), findings.len()), (wrong, 1), "{before:?} {later:?}");
        }
    }
}
