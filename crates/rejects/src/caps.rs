//! How many rows of an address and of a source are written, and how many of their requests held.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};

use floodgate_listen::network;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// Rows of one address: two in a second, and 20 at once.
const ROWS_OF_ADDRESS: Quota = quota(2, 20);
/// Rows of one source: 20 in a second, and 200 at once.
const ROWS_OF_SOURCE: Quota = quota(20, 200);
/// Held requests of one address: 20 in a second, and 200 at once.
const HELD_OF_ADDRESS: Quota = quota(20, 200);
/// Held requests of one source: 100 in a second, and 1,000 at once.
const HELD_OF_SOURCE: Quota = quota(100, 1_000);
/// The most addresses that have a limit of their own. While there are so many, all addresses share one.
const MAX_ADDRESSES: usize = 16_384;
/// The address in whose place the others are counted.
const OTHERS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

const fn quota(per_second: u32, burst: u32) -> Quota {
    match (NonZeroU32::new(per_second), NonZeroU32::new(burst)) {
        (Some(per_second), Some(burst)) => Quota::per_second(per_second).allow_burst(burst),
        _ => panic!("a quota of nothing"),
    }
}

/// Limits rows or held requests, and counts those that are left out. A source that floods takes nothing from
/// another, and an address takes little from its source.
pub(crate) struct Caps {
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    sources: DefaultKeyedRateLimiter<String>,
    /// Since the last row of each source. Sources are those of the configuration.
    left_out: Mutex<HashMap<String, u64>>,
}

impl Caps {
    /// The limits of rows.
    pub(crate) fn of_rows() -> Self {
        Self::new(ROWS_OF_ADDRESS, ROWS_OF_SOURCE)
    }

    /// The limits of requests that are held.
    pub(crate) fn of_held() -> Self {
        Self::new(HELD_OF_ADDRESS, HELD_OF_SOURCE)
    }

    fn new(of_address: Quota, of_source: Quota) -> Self {
        Self {
            addresses: RateLimiter::keyed(of_address),
            sources: RateLimiter::keyed(of_source),
            left_out: Mutex::default(),
        }
    }

    /// Takes a place for a row. Returns how many rows of the source were left out since its last one, or
    /// `None` if this row exceeds a limit.
    pub(crate) fn admit(&self, source: &str, peer: IpAddr) -> Option<u64> {
        let peer = if self.addresses.len() < MAX_ADDRESSES { network(peer) } else { OTHERS };
        let is_admitted =
            self.addresses.check_key(&peer).is_ok() && self.sources.check_key(&source.to_owned()).is_ok();
        if is_admitted {
            return Some(self.left_out().remove(source).unwrap_or_default());
        }
        self.leave_out(source);
        None
    }

    /// Counts a row that is not written.
    pub(crate) fn leave_out(&self, source: &str) {
        let mut left_out = self.left_out();
        match left_out.get_mut(source) {
            Some(count) => *count += 1,
            None => drop(left_out.insert(source.to_owned(), 1)),
        }
    }

    /// Forgets addresses and sources that were not refused lately.
    pub(crate) fn forget_old(&self) {
        self.addresses.retain_recent();
        self.sources.retain_recent();
    }

    fn left_out(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
