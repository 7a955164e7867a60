//! The rate limit of each address, in a table whose size is bounded.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use floodgate_listen::network;
use governor::clock::{Clock as _, DefaultClock};
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use governor::{Quota, RateLimiter};

/// The parts of the table, each with a lock of its own. A power of two.
const PARTS: usize = 16;
/// How often addresses are forgotten whose buckets are full again.
const SWEEP: Duration = Duration::from_secs(1);

/// How many requests an address may send.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// The most requests in a second, in the long run.
    pub per_second: NonZeroU32,
    /// The most requests at once, after a while without any.
    pub burst: NonZeroU32,
}

/// An address has sent more than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("over the rate of its address")]
pub struct OverRate {
    /// The time until the next request is taken.
    pub wait: Duration,
    /// How many requests are taken in a second.
    pub per_second: u32,
}

/// The rate limit of each address.
#[derive(Debug)]
pub struct AddressRate {
    limiter: RateLimiter<IpAddr, Table, DefaultClock>,
    clock: DefaultClock,
    per_second: NonZeroU32,
}

impl AddressRate {
    /// Knows the rates of about `most` addresses. Others share a rate with each other.
    pub fn new(rate: Rate, most: usize) -> Self {
        let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
        let clock = DefaultClock::default();
        let limiter = RateLimiter::new(quota, Table::new(most), clock.clone());
        Self { limiter, clock, per_second: rate.per_second }
    }

    /// Takes one request from the bucket of an address.
    ///
    /// # Errors
    /// If its bucket is empty.
    pub fn take(&self, address: IpAddr) -> Result<(), OverRate> {
        self.limiter.check_key(&network(address)).map_err(|until| OverRate {
            wait: until.wait_time_from(self.clock.now()),
            per_second: self.per_second.get(),
        })
    }

    /// How many addresses are known.
    pub fn addresses(&self) -> usize {
        self.limiter.len()
    }

    /// Forgets addresses whose buckets are full again, for ever.
    pub async fn sweep_forever(&self) {
        loop {
            tokio::time::sleep(SWEEP).await;
            self.limiter.retain_recent();
        }
    }
}

/// The buckets of addresses.
#[derive(Debug)]
struct Table {
    parts: [Mutex<Part>; PARTS],
    hasher: RandomState,
    /// The most addresses of a part.
    most: usize,
}

#[derive(Debug, Default)]
struct Part {
    known: HashMap<IpAddr, Nanos>,
    /// The bucket of all addresses that have no place, so that many addresses are no way around the limit.
    others: Option<Nanos>,
}

impl Table {
    fn new(most: usize) -> Self {
        Self { parts: Default::default(), hasher: RandomState::new(), most: most / PARTS }
    }

    fn part(&self, address: &IpAddr) -> MutexGuard<'_, Part> {
        let hash = self.hasher.hash_one(address) as usize;
        lock(&self.parts[hash & (PARTS - 1)])
    }
}

fn lock(part: &Mutex<Part>) -> MutexGuard<'_, Part> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StateStore for Table {
    type Key = IpAddr;

    fn measure_and_replace<T, F, E>(&self, address: &IpAddr, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut part = self.part(address);
        let Part { known, others } = &mut *part;
        if let Some(state) = known.get_mut(address) {
            let (taken, next) = measure(Some(*state))?;
            *state = next;
            return Ok(taken);
        }
        if known.len() < self.most {
            let (taken, next) = measure(None)?;
            known.insert(*address, next);
            return Ok(taken);
        }
        let (taken, next) = measure(*others)?;
        *others = Some(next);
        Ok(taken)
    }
}

impl ShrinkableKeyedStateStore<IpAddr> for Table {
    fn retain_recent(&self, drop_below: Nanos) {
        for part in &self.parts {
            lock(part).known.retain(|_, state| *state > drop_below);
        }
    }

    fn len(&self) -> usize {
        self.parts.iter().map(|part| lock(part).known.len()).sum()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn rate(per_second: u32, burst: u32) -> AddressRate {
        let number = |number| NonZeroU32::new(number).unwrap();
        AddressRate::new(Rate { per_second: number(per_second), burst: number(burst) }, 1_024)
    }

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    #[test]
    fn each_address_has_a_bucket_and_a_network_of_ipv6_has_one() {
        let rate = rate(1, 2);
        let v6 = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(rate.take(v6("2001:db8::1")).is_ok() && rate.take(v6("2001:db8::2")).is_ok());
        let refused = rate.take(v6("2001:db8::3")).unwrap_err();
        assert_eq!(refused.per_second, 1);
        assert!(refused.wait <= Duration::from_secs(1));
        assert!(rate.take(v6("2001:db8:0:1::1")).is_ok());
        assert_eq!(rate.addresses(), 2);
    }

    #[test]
    fn addresses_without_a_place_share_a_bucket() {
        let rate = rate(1, 1);
        let taken = (0..20_000).filter(|number| rate.take(address(*number)).is_ok()).count();
        assert_eq!(rate.addresses(), 1_024);
        // One for each that is known, one for the others of each part, and what a slow test makes up for.
        assert!((1_024..=1_024 + 60 * PARTS).contains(&taken), "{taken}");
    }

    #[test]
    fn an_address_whose_bucket_is_full_again_is_forgotten() {
        let rate = rate(1_000, 1_000);
        assert!(rate.take(address(1)).is_ok());
        std::thread::sleep(Duration::from_millis(10));
        rate.limiter.retain_recent();
        assert_eq!(rate.addresses(), 0);
    }
}
