//! The memory for connections, requests and answers. One bound covers all of them, and memory is reserved
//! before bytes are held. Shares of it keep a single connection or address from taking everything.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How the memory is divided. All numbers are bytes.
#[derive(Debug, Clone, Copy)]
pub struct Shares {
    /// The most bytes that may be reserved at all.
    pub total: usize,
    /// The part of `total` that only small requests may use. No address can take it with small requests
    /// alone, unless `address` is larger than the rest.
    pub kept: usize,
    /// The most bytes for the requests of one address that are not small.
    pub address: usize,
    /// The most bytes for one connection.
    pub connection: usize,
    /// The most bytes of a small request, including everything that it needs until it is answered.
    pub small: usize,
}

/// The memory of a process, which accounts reserve from. Clones share it.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Pools>);

#[derive(Debug)]
struct Pools {
    shares: Shares,
    used: AtomicUsize,
    /// An entry for each address that has a connection or a reservation.
    addresses: Mutex<HashMap<IpAddr, Arc<Address>>>,
}

/// What one address has taken.
#[derive(Debug, Default)]
struct Address {
    used: AtomicUsize,
    accounts: AtomicUsize,
}

/// The memory is used up, or the share of this connection or address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("memory used up")]
pub struct Exhausted;

impl Budget {
    /// A budget with these shares.
    pub fn new(shares: Shares) -> Self {
        Self(Arc::new(Pools { shares, used: AtomicUsize::new(0), addresses: Mutex::default() }))
    }

    /// A budget of so many bytes that a single account may use up.
    pub fn unshared(bytes: usize) -> Self {
        Self::new(Shares { total: bytes, kept: 0, address: bytes, connection: bytes, small: bytes })
    }

    /// How many bytes are reserved now.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Returns true if there is no room even for a small request.
    pub fn is_exhausted(&self) -> bool {
        self.used().saturating_add(self.0.shares.small) > self.0.shares.total
    }

    /// Opens an account for a connection from this address.
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

    /// Opens an account for the process's own work. Only the total limits it.
    pub fn own_account(&self) -> Account {
        Account(Arc::new(Owner { pools: Arc::clone(&self.0), address: None, used: AtomicUsize::new(0) }))
    }
}

impl Pools {
    fn addresses(&self) -> MutexGuard<'_, HashMap<IpAddr, Arc<Address>>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What counts as one address. Whoever has one IPv6 address has its whole /64, so that counts as one. An IPv4
/// address that is mapped into IPv6 counts as itself.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The reservations of a connection and its requests. Clones share it.
#[derive(Debug, Clone)]
pub struct Account(Arc<Owner>);

#[derive(Debug)]
struct Owner {
    pools: Arc<Pools>,
    address: Option<(IpAddr, Arc<Address>)>,
    used: AtomicUsize,
}

impl Account {
    /// Reserves `bytes` without waiting.
    ///
    /// # Errors
    /// If fewer bytes are left, in total or for this account.
    pub fn reserve(&self, bytes: usize) -> Result<Reservation, Exhausted> {
        self.0.take(bytes, 0)?;
        Ok(Reservation { owner: self.clone(), bytes })
    }

    /// Returns true if only small requests may still use memory. Peers that make others wait get less time
    /// then.
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
        let shared = shares.total - shares.kept;
        let (of_address, of_all) = match is_small || self.address.is_none() {
            true => (shares.address.max(shared), shares.total),
            false => (shares.address, shared),
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

/// A part of the memory, which is released when this is dropped.
#[derive(Debug)]
pub struct Reservation {
    owner: Account,
    bytes: usize,
}

impl Reservation {
    /// An empty reservation of unlimited memory, for tests and measurements.
    pub fn uncounted() -> Self {
        Self { owner: Budget::unshared(usize::MAX).own_account(), bytes: 0 }
    }

    /// How many bytes it holds.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The account that it is counted in.
    pub fn account(&self) -> &Account {
        &self.owner
    }

    /// Grows it to at least `bytes`.
    ///
    /// # Errors
    /// If fewer bytes are left, in total or for its account.
    pub fn grow_to(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let missing = bytes.saturating_sub(self.bytes);
        if missing > 0 {
            self.owner.0.take(missing, self.bytes)?;
            self.bytes += missing;
        }
        Ok(())
    }

    /// Reserves `bytes` more.
    ///
    /// # Errors
    /// If fewer bytes are left, in total or for its account.
    pub fn grow_by(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.grow_to(self.bytes.saturating_add(bytes))
    }

    /// Releases what exceeds `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        let over = self.bytes.saturating_sub(bytes);
        if over > 0 {
            drop(self.split(over));
        }
    }

    /// Moves `bytes` into a reservation of their own, or all of them if there are fewer.
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
mod tests;
