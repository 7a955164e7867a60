//! The way in: heads by the rules of HTTP, bodies within their bounds, and the answers. Connections are
//! `floodgate_listen`'s. Knows nothing of secrets or NATS.

pub(crate) mod answer;
pub(crate) mod arriving;
pub(crate) mod body;
mod content_coding;
pub(crate) mod path;
pub(crate) mod refusal;
pub(crate) mod service;

use std::net::SocketAddr;
use std::time::SystemTime;

use bytes::Bytes;
use floodgate_listen::Reservation;
use http::request::Parts;

use self::content_coding::Coding;
pub(crate) use self::refusal::Refusal;

/// A request that arrived whole and within its bounds. Built by [`body::receive`] alone.
#[derive(Debug)]
pub(crate) struct Received {
    parts: Parts,
    raw: Bytes,
    coding: Coding,
    limit: usize,
    peer: SocketAddr,
    at: SystemTime,
    memory: Reservation,
}

impl Received {
    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The bytes as sent; what signatures are over.
    pub(crate) fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Lets go of all but the bytes as sent, and the memory in which the event is counted.
    pub(crate) fn into_counted(self) -> (Bytes, Reservation) {
        (self.raw, self.memory)
    }

    /// Lets go of all but the bytes as sent.
    #[cfg(test)]
    pub(crate) fn into_raw(self) -> Bytes {
        self.raw
    }

    /// The bytes after content decoding. Costs an attacker little to make expensive, so
    /// only for verified requests.
    ///
    /// # Errors
    /// If they do not decode, or to more than the limit, or there is no memory for them.
    pub(crate) fn decode(&mut self) -> Result<Bytes, Refusal> {
        self.coding.decode(&self.raw, self.limit, &mut self.memory)
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// When its last byte arrived.
    pub(crate) fn at(&self) -> SystemTime {
        self.at
    }

    /// A request as tests have it.
    #[cfg(test)]
    pub(crate) fn for_test(request: http::Request<Bytes>, at: SystemTime) -> Self {
        let (parts, raw) = request.into_parts();
        let coding = Coding::of(&parts.headers).unwrap();
        let (peer, memory) = (SocketAddr::from(([192, 0, 2, 1], 443)), Reservation::uncounted());
        Self { parts, raw, coding, limit: 1 << 20, peer, at, memory }
    }
}
