//! A configuration in use: sources with their keys ready and their handlers compiled.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use floodgate_event::source::RateLimit;
use floodgate_event::{Name, time};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota};

use super::bind::InUse;
use crate::accept::Refusal;
use crate::accept::refusal::Unavailable;
use crate::chain::Chain;
use crate::enqueue::Enqueue;
use crate::metrics::SourceMetrics;
use crate::verify::Verifier;
use floodgate_event::LogRate;

/// A configuration in use.
pub(super) struct Served {
    pub(super) revision: u64,
    /// When the centre last confirmed it, as Unix time in microseconds.
    pub(super) confirmed_at_us: u64,
    pub(super) sources: Arc<HashMap<Name, Arc<Source>>>,
    /// The sources that are not served as the snapshot has them.
    pub(super) refused: Arc<BTreeMap<Name, Refused>>,
    /// What its chains share.
    pub(super) used: Arc<InUse>,
    pub(super) enqueue: Arc<Enqueue>,
}

/// Why a source is not served as the snapshot has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) reason: String,
    /// Whether trying again is of no use.
    pub(super) is_final: bool,
}

/// A source in use.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) name: Name,
    pub(super) verifier: Arc<Verifier>,
    /// Which secrets the verifier takes.
    pub(super) secret_ids: Vec<String>,
    pub(super) chain: Arc<Chain>,
    pub(super) limiter: Option<Arc<Limiter>>,
    pub(super) metrics: SourceMetrics,
    /// Of lines about refused signatures.
    pub(super) refusals: Arc<LogRate>,
}

impl Served {
    pub(super) fn source(&self, name: &str) -> Option<&Arc<Source>> {
        self.sources.get(name)
    }

    /// Whether the region has this source, but this gateway cannot serve it.
    pub(super) fn is_refused(&self, name: &str) -> bool {
        self.refused.contains_key(name)
    }

    /// Whether what is refused may be served at another try.
    pub(super) fn may_improve(&self) -> bool {
        self.refused.values().any(|refused| !refused.is_final)
    }

    pub(super) fn enqueue(&self) -> &Enqueue {
        &self.enqueue
    }

    /// The same configuration, confirmed anew.
    pub(super) fn confirmed(&self, at_us: u64) -> Self {
        Self {
            revision: self.revision,
            confirmed_at_us: at_us,
            sources: Arc::clone(&self.sources),
            refused: Arc::clone(&self.refused),
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

/// A token bucket, kept over changes of configuration that leave the limit as it is.
pub(super) struct Limiter {
    limit: RateLimit,
    bucket: DefaultDirectRateLimiter,
    clock: DefaultClock,
    origin: Instant,
    /// Until when the bucket is known to be empty, in nanoseconds since `origin`: only time fills it.
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

    /// Takes one request, or says how long to wait.
    pub(super) fn take(&self) -> Result<(), Refusal> {
        let Err(until) = self.bucket.check() else { return Ok(()) };
        let wait = until.wait_time_from(self.clock.now());
        let empty_until = nanoseconds(self.origin.elapsed().saturating_add(wait));
        self.empty_until.store(empty_until, Ordering::Relaxed);
        Err(Refusal::RateLimited { wait })
    }

    /// Takes none. Refuses while the bucket is known to be empty.
    pub(super) fn check_open(&self) -> Result<(), Refusal> {
        let empty_until = self.empty_until.load(Ordering::Relaxed);
        if empty_until == 0 {
            // Never was: most sources, and no need to look at the clock.
            return Ok(());
        }
        match empty_until.saturating_sub(nanoseconds(self.origin.elapsed())) {
            0 => Ok(()),
            left => Err(Refusal::RateLimited { wait: Duration::from_nanos(left) }),
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
