//! Assigns a port to each part.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use floodgate_event::Name;
use serde::{Deserialize, Serialize};

use crate::folder::{self, Folder};
use crate::regions::{MAX, Regions};

/// The default port base, which is the port of the admin API.
pub const DEFAULT_BASE: u16 = 8400;
/// The highest offset from the base that is used.
const HIGHEST_OFFSET: u16 = 41 + MAX as u16 - 1;
const HIGHEST_BASE: u16 = u16::MAX - HIGHEST_OFFSET;
/// Free ports are chosen from this range. It is below the ports that systems use for outgoing connections:
/// one of those could take a part's port while the part is restarted.
const FREE: std::ops::Range<u16> = 20_000..32_000;
/// How many random ports are tried for a part.
const MAX_TRIES: usize = 1_000;
/// The file that remembers the free ports.
const FILE: &str = "ports.json";

/// The ports of all endpoints, by the endpoint's name.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Ports(BTreeMap<String, u16>);

/// An endpoint that needs a port.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Endpoint<'a> {
    /// The relay's admin API.
    Admin,
    RelayMetrics,
    CentreNats,
    Nats(&'a Name),
    Gateway(&'a Name),
    GatewayMetrics(&'a Name),
}

impl Endpoint<'_> {
    /// The name of the endpoint. No region's name has a dot, so no two endpoints have the same name.
    fn key(self) -> String {
        match self {
            Self::Admin => "admin".to_owned(),
            Self::RelayMetrics => "relay.metrics".to_owned(),
            Self::CentreNats => "centre.nats".to_owned(),
            Self::Nats(region) => format!("{region}.nats"),
            Self::Gateway(region) => format!("{region}.gateway"),
            Self::GatewayMetrics(region) => format!("{region}.metrics"),
        }
    }
}

impl Ports {
    /// The address that a part listens on: loopback only.
    pub(crate) fn address(&self, endpoint: Endpoint<'_>) -> SocketAddr {
        // `choose` makes a port for every endpoint of every region.
        #[allow(clippy::indexing_slicing)]
        let port = self.0[&endpoint.key()];
        (Ipv4Addr::LOCALHOST, port).into()
    }
}

/// Every endpoint with its offset from a fixed base.
fn endpoints(regions: &Regions) -> Vec<(Endpoint<'_>, u16)> {
    let mut endpoints = vec![(Endpoint::Admin, 0), (Endpoint::RelayMetrics, 1), (Endpoint::CentreNats, 2)];
    for (region, number) in regions.iter().zip(0..) {
        endpoints.push((Endpoint::Nats(region), 21 + number));
        endpoints.push((Endpoint::GatewayMetrics(region), 31 + number));
        endpoints.push((Endpoint::Gateway(region), 41 + number));
    }
    endpoints
}

/// Returns fixed ports from a base, or free ones for base 0. All of them are free at this moment.
pub(crate) fn choose(base: u16, regions: &Regions, folder: &Folder) -> Result<Ports, Error> {
    if base == 0 {
        free(regions, folder)
    } else if base > HIGHEST_BASE {
        Err(Error::Base(base))
    } else {
        fixed(base, regions)
    }
}

fn fixed(base: u16, regions: &Regions) -> Result<Ports, Error> {
    let mut ports = Ports::default();
    for (endpoint, offset) in endpoints(regions) {
        let port = base + offset;
        listen(port).map_err(|source| Error::Taken { port, endpoint: endpoint.key(), source })?;
        ports.0.insert(endpoint.key(), port);
    }
    Ok(ports)
}

/// Returns the ports of the last run, so that URLs stay valid. A port that is taken by now is replaced.
fn free(regions: &Regions, folder: &Folder) -> Result<Ports, Error> {
    let kept = folder.read(FILE)?.map(|text| serde_json::from_str(&text)).transpose();
    let mut ports: Ports = kept.map_err(Error::File)?.unwrap_or_default();
    let mut used: BTreeSet<u16> = ports.0.values().copied().collect();
    for (endpoint, _) in endpoints(regions) {
        let kept = ports.0.get(&endpoint.key()).copied().filter(|&port| listen(port).is_ok());
        let port = kept.or_else(|| unused(&used)).ok_or(Error::NoneFree)?;
        used.insert(port);
        ports.0.insert(endpoint.key(), port);
    }
    let text = serde_json::to_string_pretty(&ports).map_err(Error::File)?;
    folder.write(FILE, text.as_bytes())?;
    Ok(ports)
}

fn unused(used: &BTreeSet<u16>) -> Option<u16> {
    let mut tries = (0..MAX_TRIES).map(|_| rand::random_range(FREE));
    tries.find(|port| !used.contains(port) && listen(*port).is_ok())
}

fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

/// Why no ports could be assigned.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The base is too high: some ports would be above 65,535.
    #[error("--port-base {0}: at most {HIGHEST_BASE} leaves room for every part")]
    Base(u16),
    /// Another program listens on the port.
    #[error("port {port}, for {endpoint}, cannot be used; choose another --port-base, or 0 for free ports")]
    Taken { port: u16, endpoint: String, source: io::Error },
    /// None of the random ports that were tried was free.
    #[error("no free port found in {MAX_TRIES} tries between {} and {}", FREE.start, FREE.end)]
    NoneFree,
    /// The ports of the last run cannot be read or written.
    #[error("{FILE}")]
    File(#[source] serde_json::Error),
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] folder::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regions(names: &[&str]) -> Regions {
        Regions::new(names.iter().map(|name| name.parse().unwrap()).collect()).unwrap()
    }

    #[test]
    fn fixed_ports_never_meet() {
        let regions = regions(&["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
        let offsets: BTreeSet<u16> = endpoints(&regions).iter().map(|(_, offset)| *offset).collect();
        assert_eq!(offsets.len(), endpoints(&regions).len());
        assert_eq!(offsets.last(), Some(&HIGHEST_OFFSET));
    }

    #[test]
    fn free_ports_are_kept_unless_taken() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::open(temporary.path()).unwrap();
        let (one, two) = (regions(&["eu"]), regions(&["eu", "us"]));
        let first = free(&one, &folder).unwrap();
        let taken = TcpListener::bind(first.address(Endpoint::Admin)).unwrap();
        let second = free(&two, &folder).unwrap();
        let gateway = Endpoint::Gateway(one.iter().next().unwrap());
        assert_eq!(second.address(gateway), first.address(gateway));
        assert_ne!(second.address(Endpoint::Admin), taken.local_addr().unwrap());
        assert_eq!(second.0.values().collect::<BTreeSet<_>>().len(), second.0.len());
    }
}
