//! The relay's time, which decides the times in the log, when a retry is due, and when the ledger drops ids.
//!
//! The relay trusts no single clock. It compares those of its host, of the centre's server and of each
//! region's server all the time, and takes the time of the largest group that agrees (`votes`). If no two
//! clocks agree, it takes the centre's time. Between two answers, the host's monotonic clock advances the
//! time, for a bounded while. So a single clock that jumps is outvoted. If all clocks jump together, the
//! relay follows after a minute. It writes nothing into the log until then, and drops nothing for an hour.

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

/// If a time in the log is ahead of every clock by more than this, a wrong clock has written it. If it is
/// ahead by less, the log's time does not advance until the clocks have reached it.
const MOST_AHEAD: Duration = Duration::from_secs(3_600);

/// Identifies one of the clocks that are compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClockId {
    /// The clock of this host.
    Host,
    /// The clock of the centre's nats-server.
    Centre,
    /// The clock of a region's nats-server.
    Region(Name),
}

/// The two clocks of this host. Tests pass in clocks of their own.
pub trait HostClocks: Send + Sync {
    /// Reads the wall clock: Unix time in microseconds.
    fn wall_us(&self) -> u64;
    /// Reads the monotonic clock, which may start anywhere.
    fn monotonic(&self) -> Duration;
}

/// The clocks of the operating system.
struct System(Instant);

impl HostClocks for System {
    fn wall_us(&self) -> u64 {
        time::unix_micros(SystemTime::now())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The relay's clock. Clones share it.
#[derive(Clone)]
pub struct Clock(Arc<Shared>);

struct Shared {
    host: Arc<dyn HostClocks>,
    votes: Mutex<Votes>,
    /// How many votes were held.
    votes_held: watch::Sender<u64>,
    metrics: Option<ClockMetrics>,
}

impl Clock {
    /// A clock that begins with this host's clocks. [`Self::observe`] adds the readings of others.
    pub fn new(metrics: Option<ClockMetrics>) -> Self {
        Self::with_clocks(Arc::new(System(Instant::now())), metrics)
    }

    /// As [`Self::new`], with the given clocks instead of the operating system's.
    pub fn with_clocks(host: Arc<dyn HostClocks>, metrics: Option<ClockMetrics>) -> Self {
        let (votes, votes_held) = (Mutex::default(), watch::Sender::new(0));
        Self(Arc::new(Shared { host, votes, votes_held, metrics }))
    }

    /// Takes a reading of a server's clock: it showed `at_us` when this host's monotonic clock showed
    /// `monotonic`.
    pub fn observe(&self, who: ClockId, at_us: u64, monotonic: Duration) {
        let moment = self.moment();
        {
            let mut votes = self.votes();
            votes.take(who, at_us, monotonic, moment);
            self.report(&votes);
        }
        self.0.votes_held.send_modify(|held| *held += 1);
    }

    /// Returns true if the time is known and most clocks agree on it. Otherwise nothing is written into the
    /// log.
    pub fn is_agreed(&self) -> bool {
        let moment = self.moment();
        self.votes().is_agreed(moment)
    }

    /// Returns once [`Self::is_agreed`] is true.
    pub async fn agreed(&self) {
        // The sender lives as long as this clock.
        let _ = self.0.votes_held.subscribe().wait_for(|_| self.is_agreed()).await;
    }

    /// The time in Unix microseconds. Before the first comparison it is this host's.
    pub fn now_us(&self) -> u64 {
        let moment = self.moment();
        self.votes().now(moment)
    }

    /// The time, as the standard library represents it.
    pub fn now(&self) -> SystemTime {
        time::from_unix_micros(self.now_us())
    }

    /// The earliest time of all clocks in Unix microseconds. It decides what is old enough to be dropped.
    pub fn earliest_us(&self) -> u64 {
        let moment = self.moment();
        self.votes().earliest(moment)
    }

    /// [`Self::earliest_us`], as the standard library represents it.
    pub fn earliest(&self) -> SystemTime {
        time::from_unix_micros(self.earliest_us())
    }

    /// What a server's clock shows now in Unix microseconds. None if the server has not answered lately.
    pub fn reading_of(&self, who: &ClockId) -> Option<u64> {
        let moment = self.moment();
        self.votes().reading_of(who, moment)
    }

    /// Returns true if the time has been agreed and without a jump for an hour. Only then may anything be
    /// dropped by its age.
    pub fn is_steady(&self) -> bool {
        let moment = self.moment();
        self.votes().is_steady(moment)
    }

    /// The time of a block that follows one of time `previous_us`. It is never earlier than that, unless
    /// every clock says that `previous_us` is far in the future: such a time must not spread to all later
    /// blocks.
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

    /// This host's monotonic clock, which may start anywhere.
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

impl std::fmt::Display for ClockId {
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
