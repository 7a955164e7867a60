//! The memory for connections, requests and answers: one bound for all of them, taken before bytes are held,
//! with shares of it, so that no connection and no address takes everyone's.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How the memory is shared out. All in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Shares {
    /// What is lent in all.
    pub total: usize,
    /// The part of it that is kept for small requests.
    pub kept: usize,
    /// What the requests of one address may take that are not small.
    pub address: usize,
    /// What one connection may take.
    pub connection: usize,
    /// Up to where a request is small, with all that it needs until it is done.
    pub small: usize,
}

/// The bound.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Pools>);

#[derive(Debug)]
struct Pools {
    shares: Shares,
    used: AtomicUsize,
    /// One for each address with a connection, or with something under way.
    addresses: Mutex<HashMap<IpAddr, Arc<Address>>>,
}

/// What one address has taken.
#[derive(Debug, Default)]
struct Address {
    used: AtomicUsize,
    accounts: AtomicUsize,
}

/// The memory is used up for now, or this connection's share of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("memory used up")]
pub struct Exhausted;

impl Budget {
    /// A bound with these shares.
    pub fn new(shares: Shares) -> Self {
        Self(Arc::new(Pools { shares, used: AtomicUsize::new(0), addresses: Mutex::default() }))
    }

    /// A bound that whoever comes first may take whole.
    pub fn unshared(bytes: usize) -> Self {
        Self::new(Shares { total: bytes, kept: 0, address: bytes, connection: bytes, small: bytes })
    }

    /// Bytes that are taken.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Whether there is no room even for a small request.
    pub fn is_exhausted(&self) -> bool {
        self.used().saturating_add(self.0.shares.small) > self.0.shares.total
    }

    /// An account for a connection of this address.
    pub fn account(&self, address: IpAddr) -> Account {
        let key = network(address);
        let mut addresses = self.0.addresses();
        let pool = Arc::clone(addresses.entry(key).or_default());
        // Under the lock, as in `drop`.
        pool.accounts.fetch_add(1, Ordering::Relaxed);
        drop(addresses);
        Account(Arc::new(Owner {
            pools: Arc::clone(&self.0),
            address: Some((key, pool)),
            used: AtomicUsize::new(0),
        }))
    }

    /// An account for what this process does of its own accord. It has no share but the whole.
    pub fn own_account(&self) -> Account {
        Account(Arc::new(Owner { pools: Arc::clone(&self.0), address: None, used: AtomicUsize::new(0) }))
    }
}

impl Pools {
    fn addresses(&self) -> MutexGuard<'_, HashMap<IpAddr, Arc<Address>>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever has one IPv6 address has its whole /64, so that is what counts as one.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// What a connection, and what it began, has taken. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Account(Arc<Owner>);

#[derive(Debug)]
struct Owner {
    pools: Arc<Pools>,
    address: Option<(IpAddr, Arc<Address>)>,
    used: AtomicUsize,
}

impl Account {
    /// Takes `bytes`, without waiting.
    ///
    /// # Errors
    /// If there are not so many, or not for this account.
    pub fn reserve(&self, bytes: usize) -> Result<Reservation, Exhausted> {
        self.0.take(bytes, 0)?;
        Ok(Reservation { owner: self.clone(), bytes })
    }

    /// Whether what is left is for small requests only: who makes others wait has to be quick now.
    pub fn is_short(&self) -> bool {
        let shares = &self.0.pools.shares;
        let of_address = self.0.address.as_ref().map_or(0, |(_, pool)| pool.used.load(Ordering::Relaxed));
        let used = self.0.pools.used.load(Ordering::Relaxed);
        used > shares.total - shares.kept || of_address > shares.address
    }
}

impl Owner {
    fn take(&self, bytes: usize, already: usize) -> Result<(), Exhausted> {
        let shares = &self.pools.shares;
        let is_small = already.saturating_add(bytes) <= shares.small;
        let (of_address, of_all) = match is_small || self.address.is_none() {
            true => (shares.total, shares.total),
            false => (shares.address, shares.total - shares.kept),
        };
        let of_connection = if self.address.is_some() { shares.connection } else { shares.total };
        raise(&self.used, bytes, of_connection)?;
        if let Some((_, pool)) = &self.address
            && let Err(exhausted) = raise(&pool.used, bytes, of_address)
        {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
            return Err(exhausted);
        }
        raise(&self.pools.used, bytes, of_all).inspect_err(|_| self.give_own(bytes))
    }

    fn give(&self, bytes: usize) {
        self.pools.used.fetch_sub(bytes, Ordering::Relaxed);
        self.give_own(bytes);
    }

    fn give_own(&self, bytes: usize) {
        if let Some((_, pool)) = &self.address {
            pool.used.fetch_sub(bytes, Ordering::Relaxed);
        }
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

fn raise(counter: &AtomicUsize, by: usize, most: usize) -> Result<(), Exhausted> {
    let raised = |used: usize| used.checked_add(by).filter(|sum| *sum <= most);
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, raised).map(drop).map_err(|_| Exhausted)
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some((key, pool)) = &self.address {
            let mut addresses = self.pools.addresses();
            if pool.accounts.fetch_sub(1, Ordering::Relaxed) == 1 {
                addresses.remove(key);
            }
        }
    }
}

/// A part of the memory, given back when dropped.
#[derive(Debug)]
pub struct Reservation {
    owner: Account,
    bytes: usize,
}

impl Reservation {
    /// Nothing yet, of memory that nobody counts: for tests and measurements.
    pub fn uncounted() -> Self {
        Self { owner: Budget::unshared(usize::MAX).own_account(), bytes: 0 }
    }

    /// How much it is.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whose it is.
    pub fn account(&self) -> &Account {
        &self.owner
    }

    /// Makes it at least `bytes` large.
    ///
    /// # Errors
    /// If there are not so many, or not for its account.
    pub fn grow_to(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let missing = bytes.saturating_sub(self.bytes);
        if missing > 0 {
            self.owner.0.take(missing, self.bytes)?;
            self.bytes += missing;
        }
        Ok(())
    }

    /// Takes `bytes` more.
    ///
    /// # Errors
    /// If there are not so many, or not for its account.
    pub fn grow_by(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.grow_to(self.bytes.saturating_add(bytes))
    }

    /// Gives back what is over `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        let over = self.bytes.saturating_sub(bytes);
        if over > 0 {
            drop(self.split(over));
        }
    }

    /// Takes `bytes` of it apart, or all of it if there are fewer.
    #[must_use]
    pub fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { owner: self.owner.clone(), bytes }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.owner.0.give(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARES: Shares = Shares { total: 1_000, kept: 200, address: 500, connection: 400, small: 50 };

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn what_is_dropped_is_given_back_and_no_more_is_lent_than_there_is() {
        let budget = Budget::unshared(100);
        let account = budget.account(address(1));
        let mut first = account.reserve(60).unwrap();
        assert_eq!(account.reserve(50).map(drop), Err(Exhausted));
        assert_eq!((first.grow_to(50), budget.used()), (Ok(()), 60));
        assert_eq!((first.grow_by(40), budget.used()), (Ok(()), 100));
        assert_eq!((first.grow_by(1), budget.used()), (Err(Exhausted), 100));
        let part = first.split(30);
        drop(first);
        assert_eq!((part.bytes(), budget.used()), (30, 30));
        drop(part);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn neither_a_connection_nor_an_address_takes_everyones() {
        let budget = Budget::new(SHARES);
        let one = budget.account(address(1));
        let held = one.reserve(400).unwrap();
        assert_eq!(one.reserve(1).map(drop), Err(Exhausted), "the connection's share");
        let beside = budget.account(address(1));
        assert_eq!(beside.reserve(101).map(drop), Err(Exhausted), "the address's share");
        let elsewhere = budget.account(address(2)).reserve(400).unwrap();
        assert_eq!(budget.used(), 800);
        drop((held, elsewhere));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn small_requests_go_on_while_large_ones_hold_what_they_may() {
        let budget = Budget::new(SHARES);
        let hoarders = [1, 2].map(|last| budget.account(address(last)).reserve(400).unwrap());
        let third = budget.account(address(3));
        assert_eq!(third.reserve(60).map(drop), Err(Exhausted), "large: the rest is kept");
        assert!(!third.is_short());
        let mut small = third.reserve(50).unwrap();
        assert!(third.is_short(), "what is kept is in use");
        assert_eq!(small.grow_by(1), Err(Exhausted), "it would not be small any more");
        let same_address = budget.account(address(1)).reserve(50);
        assert!(same_address.is_ok(), "also from a hoarder's address");
        drop(hoarders);
        assert!(small.grow_by(100).is_ok());
    }

    #[test]
    fn an_address_is_forgotten_with_its_last_account() {
        let budget = Budget::new(SHARES);
        let (first, second) = (budget.account(address(1)), budget.account(address(1)));
        let held = first.reserve(10).unwrap();
        drop((first, second));
        assert_eq!(budget.0.addresses().len(), 1, "something is still under way");
        drop(held);
        assert!(budget.0.addresses().is_empty());
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let key = |text: &str| network(text.parse().unwrap());
        assert_eq!(key("2001:db8:0:1::1"), key("2001:db8:0:1:ffff::2"));
        assert_ne!(key("2001:db8:0:1::1"), key("2001:db8:0:2::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    }
}
