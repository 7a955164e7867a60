//! The way in: TCP, TLS, HTTP, bodies within their bounds, and the answers. Knows nothing of secrets or NATS.

pub(crate) mod answer;
pub(crate) mod arriving;
pub(crate) mod body;
pub(crate) mod connection;
mod content_coding;
mod explained;
mod head;
pub(crate) mod listener;
pub(crate) mod path;
pub(crate) mod refusal;
pub(crate) mod tls;

use std::net::SocketAddr;
use std::time::SystemTime;

use bytes::Bytes;
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
}

impl Received {
    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The bytes as sent; what signatures are over.
    pub(crate) fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Lets go of all but the bytes as sent.
    pub(crate) fn into_raw(self) -> Bytes {
        self.raw
    }

    /// The bytes after content decoding. Costs an attacker little to make expensive, so only for verified requests.
    ///
    /// # Errors
    /// If they do not decode, or to more than the limit.
    pub(crate) fn decode(&self) -> Result<Bytes, Refusal> {
        self.coding.decode(&self.raw, self.limit)
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
        Self { parts, raw, coding, limit: 1 << 20, peer: SocketAddr::from(([192, 0, 2, 1], 443)), at }
    }
}
