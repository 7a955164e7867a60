//! A configuration in use: sources with their keys ready and their handlers compiled.

use std::collections::{BTreeMap, HashMap};
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
