//! A configuration in use: sources with their keys ready and their handlers compiled.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use floodgate_event::source::RateLimit;
use floodgate_event::{Name, time};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota};

use super::bind::InUse;
use crate::accept::Refusal;
use crate::accept::refusal::Unavailable;
use crate::enqueue::Enqueue;
use crate::handle::Chain;
use crate::log_rate::LogRate;
use crate::metrics::SourceMetrics;
use crate::verify::Verifier;

/// A configuration in use.
pub(super) struct Served {
    pub(super) revision: u64,
    /// When the centre last confirmed it, as Unix time in microseconds.
    pub(super) confirmed_at_us: u64,
    pub(super) sources: Arc<HashMap<Name, Arc<Source>>>,
    /// What its chains share.
    pub(super) used: Arc<InUse>,
    pub(super) enqueue: Arc<Enqueue>,
}

/// A source in use.
pub(super) struct Source {
    pub(super) name: Name,
    pub(super) verifier: Verifier,
    pub(super) chain: Chain,
    pub(super) limiter: Option<Arc<Limiter>>,
    pub(super) metrics: SourceMetrics,
    /// Of lines about refused signatures.
    pub(super) refusals: LogRate,
}

impl Served {
    pub(super) fn source(&self, name: &str) -> Option<&Arc<Source>> {
        self.sources.get(name)
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
}

impl Limiter {
    pub(super) fn new(limit: RateLimit) -> Self {
        let quota = Quota::per_second(limit.per_second).allow_burst(limit.burst);
        let clock = DefaultClock::default();
        Self { limit, bucket: governor::RateLimiter::direct_with_clock(quota, clock.clone()), clock }
    }

    pub(super) fn limit(&self) -> RateLimit {
        self.limit
    }

    /// Takes one request, or says how long to wait.
    pub(super) fn take(&self) -> Result<(), Refusal> {
        let refused = |until: governor::NotUntil<_>| Refusal::RateLimited {
            wait: until.wait_time_from(self.clock.now()),
        };
        self.bucket.check().map_err(refused)
    }
}
