//! The keys that providers publish. If a source names the address, the gateway fetches its keys ahead of
//! time. It keeps what it fetched, so a request seldom waits for a key.
//!
//! Whoever can reach a gateway can name addresses on a provider's host. So this crate makes few fetches at a
//! time, limits the rate of those for addresses that only requests name, and remembers failures.

mod fetcher;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use floodgate_event::Name;
use floodgate_schemes::{Fetch, PublishedKeys, Scheme};
use tokio::sync::{mpsc, watch};

pub use self::fetcher::{Confirmer, Fetcher, Following, NoClient};

/// The longest that a request waits for a key that has not been fetched.
const WAIT: Duration = Duration::from_secs(2);
/// The most addresses that are remembered.
const MAX_ADDRESSES: usize = 256;
/// The most addresses that wait to be fetched.
const MAX_WANTED: usize = 16;
/// How long an address is not tried again, whatever came of it, unless its keys are due.
const BETWEEN_TRIES: Duration = Duration::from_secs(30);
/// How long keys are still used after their lifetime, while their address does not answer.
const GRACE: Duration = Duration::from_secs(24 * 3_600);

/// The keys that were fetched. Clones share them.
#[derive(Clone, Debug)]
pub struct Published {
    known: Arc<Mutex<BTreeMap<String, Known>>>,
    /// The number of answers and failures so far. It wakes those who wait.
    learned: watch::Sender<u64>,
    wanted: mpsc::Sender<Wanted>,
}

/// An address to fetch, and the request that does it.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The name that schemes use for it, as in [`PublishedKeys::get`].
    pub address: String,
    /// The HTTP request whose answer has the keys.
    pub fetch: Fetch,
    /// The source that wants the keys. Each source has its own rate of fetches.
    pub source: Name,
    /// The source's scheme, which tells keys from an error page.
    pub scheme: Arc<Scheme>,
}

/// What is known of an address.
#[derive(Debug)]
struct Known {
    tried_at: Instant,
    /// What the last successful fetch brought.
    keys: Option<Keys>,
}

#[derive(Debug)]
struct Keys {
    bytes: Arc<[u8]>,
    /// How they are fetched again.
    wanted: Wanted,
    /// After this they are fetched again.
    fresh_until: Instant,
    /// True if a request has used them since they were fetched.
    are_used: bool,
}

impl Keys {
    fn are_usable(&self, now: Instant) -> bool {
        now < self.fresh_until + GRACE
    }
}

/// A key is missing, and did not arrive in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotFetched;

impl Published {
    fn new() -> (Self, mpsc::Receiver<Wanted>) {
        let (wanted, addresses) = mpsc::channel(MAX_WANTED);
        (Self { known: Arc::default(), learned: watch::Sender::new(0), wanted }, addresses)
    }

    /// Keys that never arrive, for tests.
    #[doc(hidden)]
    pub fn empty() -> Self {
        Self::new().0
    }

    /// Fetches an address for a request whose key is not among those that are here, and waits for it at most
    /// 2 seconds.
    ///
    /// # Errors
    /// If nothing arrives by then, too many others wait, or the address was tried a moment ago in vain.
    pub async fn wait_for(&self, wanted: Wanted) -> Result<(), NotFetched> {
        let address = wanted.address.clone();
        let mut learned = self.learned.subscribe();
        if !self.was_tried(&address) {
            self.wanted.try_send(wanted).map_err(|_| NotFetched)?;
            let arrived = learned.wait_for(|_| self.was_tried(&address));
            let _ = tokio::time::timeout(WAIT, arrived).await;
        }
        self.get(&address).map(drop).ok_or(NotFetched)
    }

    /// Returns true if the address was tried a moment ago.
    fn was_tried(&self, address: &str) -> bool {
        let known = self.locked();
        known.get(address).is_some_and(|known| Instant::now() < known.tried_at + BETWEEN_TRIES)
    }

    /// Returns true if an address that a source names has to be fetched.
    fn is_due(&self, address: &str) -> bool {
        let (now, known) = (Instant::now(), self.locked());
        known.get(address).is_none_or(|known| known.is_due(now))
    }

    /// Returns the addresses whose keys requests have used, and that have to be fetched again.
    fn used_and_due(&self) -> Vec<Wanted> {
        let (now, known) = (Instant::now(), self.locked());
        let due = known.values().filter(|known| known.is_due(now)).filter_map(|known| known.keys.as_ref());
        due.filter(|keys| keys.are_used).map(|keys| keys.wanted.clone()).collect()
    }

    /// Stores what an address published, or that it failed. After a failure, earlier keys stay until they are
    /// too old.
    fn learn(&self, wanted: Wanted, found: Option<(Arc<[u8]>, Duration)>) {
        let (now, address) = (Instant::now(), wanted.address.clone());
        let mut known = self.locked();
        known.retain(|_, known| known.is_worth_keeping(now));
        let before = known.remove(&address).and_then(|known| known.keys);
        if known.len() >= MAX_ADDRESSES {
            forget_one(&mut known);
        }
        let keys = match found {
            Some((bytes, lifetime)) => {
                Some(Keys { bytes, wanted, fresh_until: now + lifetime, are_used: false })
            }
            None => before,
        };
        known.insert(address, Known { tried_at: now, keys });
        drop(known);
        self.learned.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        // Every operation on the map is complete when the lock is released.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn is_due(&self, now: Instant) -> bool {
        let is_stale = self.keys.as_ref().is_none_or(|keys| now >= keys.fresh_until);
        is_stale && now >= self.tried_at + BETWEEN_TRIES
    }

    fn is_worth_keeping(&self, now: Instant) -> bool {
        let is_usable = self.keys.as_ref().is_some_and(|keys| keys.are_usable(now));
        is_usable || now < self.tried_at + BETWEEN_TRIES
    }
}

impl PublishedKeys for Published {
    fn get(&self, url: &str) -> Option<Arc<[u8]>> {
        let mut known = self.locked();
        let keys = known.get_mut(url)?.keys.as_mut()?;
        if !keys.are_usable(Instant::now()) {
            return None;
        }
        keys.are_used = true;
        Some(Arc::clone(&keys.bytes))
    }
}

/// Forgets an address: a failed one if there is any, else the one whose keys become stale first.
fn forget_one(known: &mut BTreeMap<String, Known>) {
    let order = |entry: &(&String, &Known)| entry.1.keys.as_ref().map(|keys| keys.fresh_until);
    if let Some(address) = known.iter().min_by_key(order).map(|(address, _)| address.clone()) {
        known.remove(&address);
    }
}

#[cfg(test)]
mod tests;
