//! A configuration in use: sources whose keys are ready and whose handlers are compiled.

mod tokens;

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use floodgate_event::proto::Event;
use floodgate_event::source::RateLimit;
use floodgate_event::{Name, time};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota};

pub(super) use self::tokens::Tokens;
use super::bind::InUse;
use super::secret_use::SecretUse;
use crate::accept::Refusal;
use crate::accept::refusal::Unavailable;
use crate::chain::Chain;
use crate::metrics::SourceMetrics;
use crate::verify::Verifier;
use floodgate_enqueue::Enqueue;
use floodgate_event::LogRate;

/// A configuration in use.
pub(super) struct Served {
    pub(super) revision: u64,
    /// When the centre last confirmed it, as Unix time in microseconds.
    pub(super) confirmed_at_us: u64,
    pub(super) sources: Arc<HashMap<Name, Arc<Source>>>,
    /// The sources that are not served as the snapshot has them, and why.
    pub(super) refused: Arc<BTreeMap<Name, Refused>>,
    /// The tokens of own applications.
    pub(super) tokens: Arc<Tokens>,
    /// What its chains share.
    pub(super) used: Arc<InUse>,
    pub(super) enqueue: Arc<Enqueue>,
}

/// Why a source is not served as the snapshot has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) reason: String,
    /// True if another try would fail as well.
    pub(super) is_final: bool,
}

/// A source in use.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) name: Name,
    pub(super) verifier: Arc<Verifier>,
    /// Which secrets the verifier takes.
    pub(super) secrets: Vec<Arc<SecretUse>>,
    pub(super) chain: Arc<Chain>,
    pub(super) limiter: Option<Arc<Limiter>>,
    pub(super) metrics: SourceMetrics,
    /// Limits the log lines about refused signatures.
    pub(super) refusals: Arc<LogRate>,
}

impl Source {
    /// Records that an event was signed by one of the source's secrets.
    pub(super) fn used(&self, event: &Event) {
        if let Some(secret) = self.secrets.iter().find(|secret| secret.id == event.secret_id) {
            secret.used(event.received_at_us);
        }
    }
}

impl Served {
    pub(super) fn source(&self, name: &str) -> Option<&Arc<Source>> {
        self.sources.get(name)
    }

    /// Returns true if the region has this source, but this gateway cannot serve it.
    pub(super) fn is_refused(&self, name: &str) -> bool {
        self.refused.contains_key(name)
    }

    /// Returns true if another try may serve a source that is refused.
    pub(super) fn may_improve(&self) -> bool {
        self.refused.values().any(|refused| !refused.is_final)
    }

    pub(super) fn enqueue(&self) -> &Enqueue {
        &self.enqueue
    }

    /// The same configuration with the time of a later confirmation.
    pub(super) fn confirmed(&self, at_us: u64) -> Self {
        Self {
            revision: self.revision,
            confirmed_at_us: at_us,
            sources: Arc::clone(&self.sources),
            refused: Arc::clone(&self.refused),
            tokens: Arc::clone(&self.tokens),
            used: Arc::clone(&self.used),
            enqueue: Arc::clone(&self.enqueue),
        }
    }

    /// Refuses if the configuration is older than the source allows.
    pub(super) fn check_age(&self, source: &Source, now: SystemTime) -> Result<(), Refusal> {
        let age = Duration::from_micros(time::unix_micros(now).saturating_sub(self.confirmed_at_us));
        match source.verifier.intake().max_config_age_seconds {
            Some(most) if age > Duration::from_secs(most) => {
                Err(Refusal::Unavailable(Unavailable::StaleConfiguration))
            }
            _ => Ok(()),
        }
    }
}

/// A token bucket. It is kept across configurations that leave the limit as it is.
pub(super) struct Limiter {
    limit: RateLimit,
    bucket: DefaultDirectRateLimiter,
    clock: DefaultClock,
    origin: Instant,
    /// The time until which the bucket is known to be empty, in nanoseconds since `origin`: only time refills
    /// it.
    empty_until: AtomicU64,
}

impl Limiter {
    pub(super) fn new(limit: RateLimit) -> Self {
        let quota = Quota::per_second(limit.per_second).allow_burst(limit.burst);
        let clock = DefaultClock::default();
        Self {
            limit,
            bucket: governor::RateLimiter::direct_with_clock(quota, clock.clone()),
            clock,
            origin: Instant::now(),
            empty_until: AtomicU64::new(0),
        }
    }

    pub(super) fn limit(&self) -> RateLimit {
        self.limit
    }

    /// Takes one token, or returns how long to wait.
    pub(super) fn take(&self) -> Result<(), Refusal> {
        let Err(until) = self.bucket.check() else { return Ok(()) };
        let wait = until.wait_time_from(self.clock.now());
        let empty_until = nanoseconds(self.origin.elapsed().saturating_add(wait));
        self.empty_until.store(empty_until, Ordering::Relaxed);
        Err(self.refusal(wait))
    }

    /// Takes a token for each of so many events, or none.
    pub(super) fn take_for(&self, events: usize) -> Result<(), Refusal> {
        let number = u32::try_from(events).ok().and_then(NonZeroU32::new);
        let Some(number) = number.filter(|_| events > 1) else { return self.take() };
        let Ok(taken) = self.bucket.check_n(number) else {
            return Err(Refusal::TooManyEvents { most: self.limit.burst.get() as usize });
        };
        taken.map_err(|until| self.refusal(until.wait_time_from(self.clock.now())))
    }

    fn refusal(&self, wait: Duration) -> Refusal {
        Refusal::RateLimited { policy: "source", wait, per_second: self.limit.per_second.get() }
    }

    /// Takes no token. Refuses while the bucket is known to be empty.
    pub(super) fn check_open(&self) -> Result<(), Refusal> {
        let empty_until = self.empty_until.load(Ordering::Relaxed);
        if empty_until == 0 {
            // Most buckets were never empty, so most requests need not read the clock.
            return Ok(());
        }
        match empty_until.saturating_sub(nanoseconds(self.origin.elapsed())) {
            0 => Ok(()),
            left => Err(self.refusal(Duration::from_nanos(left))),
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_events_of_a_batch_take_a_token_each_or_none() {
        let slow = RateLimit { per_second: 1.try_into().unwrap(), burst: 5.try_into().unwrap() };
        let limiter = Limiter::new(slow);
        assert_eq!(limiter.take_for(6), Err(Refusal::TooManyEvents { most: 5 }), "never possible");
        assert_eq!(limiter.take_for(3), Ok(()));
        assert!(matches!(limiter.take_for(3), Err(Refusal::RateLimited { .. })));
        assert_eq!(limiter.take_for(2), Ok(()), "the refused batch took none");
    }

    #[test]
    fn an_empty_bucket_is_known_without_taking_from_it() {
        let slow = RateLimit { per_second: 1.try_into().unwrap(), burst: 2.try_into().unwrap() };
        let limiter = Limiter::new(slow);
        assert_eq!(limiter.check_open(), Ok(()), "nobody was refused yet");
        while limiter.take().is_ok() {}
        assert!(matches!(limiter.check_open(), Err(Refusal::RateLimited { .. })));
        limiter.empty_until.store(1, Ordering::Relaxed);
        assert_eq!(limiter.check_open(), Ok(()), "it may have filled since");
    }
}
