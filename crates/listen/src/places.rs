//! What each address has open on a port: its connections, and its TLS handshakes under way.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use crate::bounds::Bounds;
use crate::memory::network;
use crate::watch::CROWDED;

/// The places of a port. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The most connections of one address.
    connections: usize,
    /// The most handshakes with one address.
    handshakes: usize,
    /// A permit for each handshake.
    all_handshakes: Arc<Semaphore>,
    /// An entry for each address that has a connection, so no more than there are connections. It is locked
    /// when a connection begins and when it ends.
    addresses: Mutex<HashMap<IpAddr, Address>>,
}

#[derive(Debug)]
struct Address {
    connections: usize,
    /// A permit for each handshake.
    handshakes: Arc<Semaphore>,
}

impl Places {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        Self(Arc::new(Shared {
            connections: bounds.address_connections,
            handshakes: bounds.address_handshakes.min(Semaphore::MAX_PERMITS),
            all_handshakes: Arc::new(Semaphore::new(bounds.handshakes.min(Semaphore::MAX_PERMITS))),
            addresses: Mutex::default(),
        }))
    }

    /// Takes a place for a connection of this address, which has as many as it wants if `is_proxy`. None if
    /// it has all that it may.
    pub(crate) fn take(&self, address: IpAddr, is_proxy: bool) -> Option<Place> {
        let key = network(address);
        let mut addresses = self.0.addresses();
        let open = addresses.get(&key).map_or(0, |address| address.connections);
        if !is_proxy && open >= self.0.connections {
            return None;
        }
        let handshakes = self.0.handshakes;
        let entry = addresses
            .entry(key)
            .or_insert_with(|| Address { connections: 0, handshakes: Arc::new(Semaphore::new(handshakes)) });
        entry.connections += 1;
        let handshakes = (!is_proxy).then(|| Arc::clone(&entry.handshakes));
        Some(Place { places: self.clone(), key, handshakes })
    }
}

impl Shared {
    fn addresses(&self) -> MutexGuard<'_, HashMap<IpAddr, Address>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    key: IpAddr,
    /// Those of the address. None for a proxy.
    handshakes: Option<Arc<Semaphore>>,
}

/// A handshake under way, until it is dropped.
pub(crate) struct Turn {
    _of_address: Option<OwnedSemaphorePermit>,
    _of_all: OwnedSemaphorePermit,
}

impl Place {
    /// Waits until the handshake may begin: first for its own address, so that one address cannot have all
    /// others wait behind it. Cancel-safe.
    pub(crate) async fn turn(&self) -> Result<Turn, AcquireError> {
        let of_address = match &self.handshakes {
            Some(handshakes) => Some(Arc::clone(handshakes).acquire_owned().await?),
            None => None,
        };
        let of_all = Arc::clone(&self.places.0.all_handshakes).acquire_owned().await?;
        Ok(Turn { _of_address: of_address, _of_all: of_all })
    }
}

impl Place {
    /// Returns once no handshake of the port can begin, after a second at the earliest. Cancel-safe.
    pub(crate) async fn handshakes_are_crowded(&self) {
        loop {
            sleep(CROWDED).await;
            if self.places.0.all_handshakes.available_permits() == 0 {
                return;
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut addresses = self.places.0.addresses();
        if let Some(address) = addresses.get_mut(&self.key) {
            address.connections -= 1;
            if address.connections == 0 {
                addresses.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;

    use super::*;

    fn places() -> Places {
        Places::new(&Bounds {
            connections: 10,
            address_connections: 2,
            backlog: 1,
            streams: 1,
            connection_requests: 1,
            head_fields: 1,
            head_bytes: 1,
            list_bytes: 1,
            handshakes: 2,
            address_handshakes: 1,
            handshake: Duration::ZERO,
            head: Duration::ZERO,
            write: Duration::ZERO,
            last_bytes: Duration::ZERO,
        })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_share_and_a_proxy_all() {
        let places = places();
        let one = [places.take(address("2001:db8::1"), false), places.take(address("2001:db8::2"), false)];
        assert!(one.iter().all(Option::is_some));
        assert!(places.take(address("2001:db8::3"), false).is_none(), "the same /64");
        let other = places.take(address("2001:db8:0:1::1"), false);
        let proxies = [0; 5].map(|_| places.take(address("192.0.2.1"), true));
        assert!(other.is_some() && proxies.iter().all(Option::is_some));
        drop(one);
        assert!(places.take(address("2001:db8::3"), false).is_some());
        drop((other, proxies));
        assert!(places.0.addresses().is_empty(), "nothing is kept of an address that has gone");
    }

    #[test]
    fn handshakes_wait_for_their_own_address_first() {
        let places = places();
        let place = |text, is_proxy| places.take(address(text), is_proxy).unwrap();
        let greedy = [place("192.0.2.1", false), place("192.0.2.1", false)];
        let first = greedy[0].turn().now_or_never();
        assert!(first.is_some() && greedy[1].turn().now_or_never().is_none());
        let (other, proxy) = (place("192.0.2.2", false), place("192.0.2.3", true));
        let second = other.turn().now_or_never();
        assert!(second.is_some() && proxy.turn().now_or_never().is_none(), "all are taken");
        drop(first);
        assert!(greedy[1].turn().now_or_never().is_some() && proxy.turn().now_or_never().is_some());
        drop(second);
    }
}
