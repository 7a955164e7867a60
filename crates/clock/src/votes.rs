//! Decides which of several clocks is right.
//!
//! A vote is held each time the centre answers. The voters are the clocks of the centre, of this host and of
//! each region that answered lately, and the believed time before the vote, which the monotonic clock
//! advances. Voters that differ by no more than [`AGREE`] vote together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::ClockId;

/// Clocks agree if they differ by no more than this. Hosts with an NTP client differ by milliseconds.
const AGREE: Duration = Duration::from_secs(10);
/// How long the monotonic clock advances a reading. It may be wrong itself, so without a newer reading the
/// time does not advance any further. This is several times the pause between two requests.
const CARRIED: Duration = Duration::from_secs(30);
/// How many votes in a row, one each 5 s, must go against the believed time before another one replaces it.
const SETTLE: u32 = 12;
/// How many votes the relay waits at its start for a second clock that agrees with the centre's.
const PATIENCE: u32 = 6;
/// How long nothing is dropped after a start or after a new time was set.
const STEADY: Duration = Duration::from_secs(3_600);

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A reading of both clocks of this host at the same moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) wall_us: u64,
    pub(super) monotonic: Duration,
}

/// What a clock showed, and when by the monotonic clock.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at_us: u64,
    taken: Duration,
}

impl Reading {
    /// What the clock shows now, if it runs as the monotonic clock does.
    fn carried(self, monotonic: Duration) -> u64 {
        self.at_us.saturating_add(micros(monotonic.saturating_sub(self.taken).min(CARRIED)))
    }

    fn is_fresh(self, monotonic: Duration) -> bool {
        monotonic.saturating_sub(self.taken) <= CARRIED
    }
}

/// The readings of all clocks, and the believed time.
#[derive(Default)]
pub(super) struct Votes {
    readings: BTreeMap<ClockId, Reading>,
    believed: Option<Reading>,
    /// When the believed time was last set.
    stepped: Duration,
    /// How many votes in a row went against the believed time, or were held before there was one.
    against: u32,
    /// How far each clock is ahead of the believed time, in microseconds.
    off: BTreeMap<ClockId, i64>,
    /// The clocks that are off by more than [`AGREE`].
    doubted: BTreeSet<ClockId>,
}

/// The voter that is not a clock: the believed time before the vote.
const BEFORE: Option<ClockId> = None;

impl Votes {
    pub(super) fn is_set(&self) -> bool {
        self.believed.is_some()
    }

    pub(super) fn now(&self, moment: Moment) -> u64 {
        self.believed.map_or(moment.wall_us, |believed| believed.carried(moment.monotonic))
    }

    pub(super) fn earliest(&self, moment: Moment) -> u64 {
        self.all(moment).min().unwrap_or(moment.wall_us)
    }

    pub(super) fn latest(&self, moment: Moment) -> u64 {
        self.all(moment).max().unwrap_or(moment.wall_us)
    }

    /// Also false after this host's clock has jumped, until the next vote decides which clock is right.
    pub(super) fn is_agreed(&self, moment: Moment) -> bool {
        let has_jumped = moment.wall_us.abs_diff(self.now(moment)) > micros(AGREE);
        self.is_set() && self.against == 0 && (!has_jumped || self.doubted.contains(&ClockId::Host))
    }

    pub(super) fn is_steady(&self, moment: Moment) -> bool {
        let is_fresh = self.believed.is_some_and(|believed| believed.is_fresh(moment.monotonic));
        is_fresh && self.is_agreed(moment) && moment.monotonic.saturating_sub(self.stepped) >= STEADY
    }

    pub(super) fn reading_of(&self, who: &ClockId, moment: Moment) -> Option<u64> {
        self.fresh(moment).find(|(fresh, _)| *fresh == who).map(|(_, at_us)| at_us)
    }

    /// How far each clock was ahead of the believed time at the last vote, in microseconds.
    pub(super) fn off(&self) -> impl Iterator<Item = (&ClockId, &i64)> {
        self.off.iter()
    }

    /// The times of all clocks that answered lately, and the believed time.
    fn all(&self, moment: Moment) -> impl Iterator<Item = u64> {
        [moment.wall_us, self.now(moment)].into_iter().chain(self.fresh(moment).map(|(_, at_us)| at_us))
    }

    fn fresh(&self, moment: Moment) -> impl Iterator<Item = (&ClockId, u64)> {
        let at = moment.monotonic;
        let fresh = self.readings.iter().filter(move |(_, reading)| reading.is_fresh(at));
        fresh.map(move |(who, reading)| (who, reading.carried(at)))
    }

    /// Takes a reading, and holds a vote if it is the centre's.
    pub(super) fn take(&mut self, who: ClockId, at_us: u64, taken: Duration, moment: Moment) {
        let is_centre = who == ClockId::Centre;
        self.readings.insert(who, Reading { at_us, taken });
        if is_centre {
            self.vote(moment);
            self.compare(moment);
        }
    }

    fn vote(&mut self, moment: Moment) {
        let voters = self.voters(moment);
        let agree = |one: u64, other: u64| one.abs_diff(other) <= micros(AGREE);
        let has = |at: u64, who: &Option<ClockId>| {
            voters.iter().any(|(voter, shows)| voter == who && agree(*shows, at))
        };
        let centre = Some(ClockId::Centre);
        let rank = |at: u64| {
            let votes = voters.iter().filter(|(_, shows)| agree(*shows, at)).count();
            (votes, has(at, &centre), has(at, &BEFORE))
        };
        let Some(&(_, elected)) = voters.iter().max_by_key(|(_, shows)| rank(*shows)) else { return };
        let shown = voters.iter().find(|(voter, _)| *voter == centre).map(|(_, shows)| *shows);
        // If the centre's clock is in the group, its time is taken, so that all relays have the same.
        let elected_time = shown.filter(|shown| agree(*shown, elected)).unwrap_or(elected);
        let before = self.believed.map(|_| self.now(moment));
        match before {
            Some(before) if agree(before, elected) => {
                self.against = 0;
                let next = if agree(before, elected_time) { elected_time } else { before };
                self.believe(next, moment);
            }
            Some(before) => {
                self.against += 1;
                if self.against >= SETTLE {
                    tracing::error!(
                        by_seconds = seconds(elected_time, before),
                        "the relay's time is set: most clocks have shown another one for a minute"
                    );
                    self.step(elected_time, moment);
                } else {
                    self.believe(before, moment);
                }
            }
            None => {
                self.against += 1;
                if rank(elected).0 > 1 || self.against >= PATIENCE {
                    self.step(elected_time, moment);
                }
            }
        }
    }

    fn step(&mut self, at_us: u64, moment: Moment) {
        (self.against, self.stepped) = (0, moment.monotonic);
        self.believe(at_us, moment);
    }

    fn believe(&mut self, at_us: u64, moment: Moment) {
        self.believed = Some(Reading { at_us, taken: moment.monotonic });
    }

    fn voters(&self, moment: Moment) -> Vec<(Option<ClockId>, u64)> {
        let clocks = self.fresh(moment).map(|(who, at_us)| (Some(who.clone()), at_us));
        let before = self.believed.map(|believed| (BEFORE, believed.carried(moment.monotonic)));
        clocks.chain([(Some(ClockId::Host), moment.wall_us)]).chain(before).collect()
    }

    /// Logs which clocks are off, when that changes.
    fn compare(&mut self, moment: Moment) {
        if !self.is_set() {
            return;
        }
        let now = self.now(moment);
        let clocks: BTreeMap<ClockId, u64> = self
            .fresh(moment)
            .map(|(who, at_us)| (who.clone(), at_us))
            .chain([(ClockId::Host, moment.wall_us)])
            .collect();
        for (who, shows) in clocks {
            let by_seconds = seconds(shows, now);
            let is_off = shows.abs_diff(now) > micros(AGREE);
            if is_off && self.doubted.insert(who.clone()) {
                tracing::error!(clock = %who, by_seconds, "this clock is off and is not believed: look at its NTP client");
            } else if !is_off && self.doubted.remove(&who) {
                tracing::info!(clock = %who, "this clock is right again");
            }
            self.off.insert(who, shows.wrapping_sub(now) as i64);
        }
    }
}

fn seconds(of: u64, than: u64) -> f64 {
    of.wrapping_sub(than) as i64 as f64 / 1e6
}
