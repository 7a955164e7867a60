//! Proxies in front of a port, and the address of the sender that they tell.

mod forwarded;
#[cfg(test)]
mod fuzz;
mod header;

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

pub(crate) use self::header::{Fault, read, refuse};

/// The proxies whose word for a sender's address is taken.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// The networks that they connect from. What anyone else says of an address is not believed.
    pub trusted: Vec<IpNet>,
    /// If true, each connection from a trusted network must begin with a PROXY protocol header, and a
    /// connection from any other network must not.
    pub protocol: bool,
    /// The header field of each request in which they name the sender.
    pub forwarded: Option<ForwardedField>,
}

/// A header field that names the sender and the proxies that a request came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedField {
    /// `X-Forwarded-For`, a list of addresses.
    XForwardedFor,
    /// `Forwarded` ([RFC 7239](https://www.rfc-editor.org/rfc/rfc7239)).
    Forwarded,
}

impl Proxies {
    /// Returns true if this address is a proxy's whose word is taken.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted.iter().any(|network| network.contains(&address))
    }

    /// The sender of a request with these headers on a connection from `peer`: the right-most address that is
    /// not a trusted proxy. The port is 0 if no proxy told it.
    pub(crate) fn sender(&self, headers: &HeaderMap, peer: SocketAddr) -> SocketAddr {
        match self.forwarded {
            Some(field) if self.trusts(peer.ip()) => forwarded::walk(self, field, headers, peer),
            _ => peer,
        }
    }
}
