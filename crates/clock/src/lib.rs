//! The relay's time: what it writes into the log, what makes a retry due, and by what the ledger forgets.
//!
//! No single clock is believed. This host's, the centre's server's and each region's server's are compared
//! all the time, and the largest group of those that agree is right (`votes`); where no two agree, the
//! centre's is. Between two answers the monotonic clock carries the time on, for a bounded while.
//! So one clock that jumps is outvoted. If all of them jump together, the relay follows after a minute,
//! writes nothing into the log meanwhile, and forgets nothing for an hour.

mod ask;
mod metrics;
mod votes;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use floodgate_event::{Name, time};
use tokio::sync::watch;
use tokio::time::Instant;

pub use self::ask::follow;
pub use self::metrics::ClockMetrics;
use self::votes::{Moment, Votes};

/// A time of the log that is further ahead than this of every clock was written by a clock that was wrong.
/// Nearer ones are waited for: the log's time stands still until then.
const MOST_AHEAD: Duration = Duration::from_secs(3_600);

/// Whose clock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// This host's.
    Host,
    /// That of the centre's nats-server.
    Centre,
    /// That of a region's nats-server.
    Region(Name),
}

/// The two clocks of this host. Passed in, so that tests hold them.
pub trait Host: Send + Sync {
    /// The wall clock: Unix time in microseconds.
    fn wall_us(&self) -> u64;
    /// The monotonic clock, from any beginning.
    fn monotonic(&self) -> Duration;
}

/// The host's own.
struct System(Instant);

impl Host for System {
    fn wall_us(&self) -> u64 {
        time::unix_micros(SystemTime::now())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The relay's time. Clones share it.
#[derive(Clone)]
pub struct Clock(Arc<Shared>);

struct Shared {
    host: Arc<dyn Host>,
    votes: Mutex<Votes>,
    /// Counts the votes.
    votes_held: watch::Sender<u64>,
    metrics: Option<ClockMetrics>,
}

impl Clock {
    /// By this host's clocks; [`Self::heard`] tells it of others.
    pub fn new(metrics: Option<ClockMetrics>) -> Self {
        Self::on(Arc::new(System(Instant::now())), metrics)
    }

    /// By these clocks.
    pub fn on(host: Arc<dyn Host>, metrics: Option<ClockMetrics>) -> Self {
        let (votes, votes_held) = (Mutex::default(), watch::Sender::new(0));
        Self(Arc::new(Shared { host, votes, votes_held, metrics }))
    }

    /// A server's clock stood at `at_us` when this host's monotonic clock stood at `monotonic`.
    pub fn heard(&self, who: Who, at_us: u64, monotonic: Duration) {
        let moment = self.moment();
        {
            let mut votes = self.votes();
            votes.hear(who, at_us, monotonic, moment);
            self.report(&votes);
        }
        self.0.votes_held.send_modify(|held| *held += 1);
    }

    /// Whether the time is known and beyond dispute. Nothing is written into the log otherwise.
    pub fn is_agreed(&self) -> bool {
        let moment = self.moment();
        self.votes().is_agreed(moment)
    }

    /// Returns once it is.
    pub async fn agreed(&self) {
        // The sender lives as long as this clock.
        let _ = self.0.votes_held.subscribe().wait_for(|_| self.is_agreed()).await;
    }

    /// Unix time in microseconds. Before anything was compared, this host's.
    pub fn now_us(&self) -> u64 {
        let moment = self.moment();
        self.votes().now(moment)
    }

    /// The same.
    pub fn now(&self) -> SystemTime {
        time::from_unix_micros(self.now_us())
    }

    /// The earliest time that any clock shows: what is thrown away by its age is judged by this one.
    pub fn earliest_us(&self) -> u64 {
        let moment = self.moment();
        self.votes().earliest(moment)
    }

    /// [`Self::earliest_us`], as the standard library has times.
    pub fn earliest(&self) -> SystemTime {
        time::from_unix_micros(self.earliest_us())
    }

    /// What a server's clock shows now, in Unix microseconds; none if it has not answered lately.
    pub fn shown_by(&self, who: &Who) -> Option<u64> {
        let moment = self.moment();
        self.votes().shown_by(who, moment)
    }

    /// Whether the time was compared, goes on as it should, and has done so for an hour:
    /// only then is anything forgotten.
    pub fn is_steady(&self) -> bool {
        let moment = self.moment();
        self.votes().is_steady(moment)
    }

    /// The time of a block that follows one of `previous_us`: never an earlier one, unless every clock says
    /// that the earlier one is far in the future. It must not become the time of all that follows.
    pub fn following(&self, previous_us: u64) -> u64 {
        let moment = self.moment();
        let votes = self.votes();
        let most = votes.latest(moment).saturating_add(votes::micros(MOST_AHEAD));
        let now = votes.now(moment);
        if previous_us > most { now } else { now.max(previous_us) }
    }

    fn moment(&self) -> Moment {
        Moment { wall_us: self.0.host.wall_us(), monotonic: self.0.host.monotonic() }
    }

    /// This host's monotonic clock, from any beginning.
    pub fn monotonic(&self) -> Duration {
        self.0.host.monotonic()
    }

    fn report(&self, votes: &Votes) {
        if let Some(metrics) = &self.0.metrics {
            for (who, off_us) in votes.off() {
                metrics.off(who, *off_us);
            }
        }
    }

    fn votes(&self) -> MutexGuard<'_, Votes> {
        self.0.votes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Display for Who {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host => formatter.write_str("host"),
            Self::Centre => formatter.write_str("centre"),
            Self::Region(name) => write!(formatter, "region {name}"),
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;
