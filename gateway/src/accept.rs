//! Takes requests and writes answers: it checks heads by the rules of HTTP and reads bodies within their
//! bounds. `floodgate_listen` handles the connections. This module knows nothing of secrets or NATS.

pub(crate) mod answer;
pub(crate) mod arriving;
pub(crate) mod body;
pub(crate) mod content_coding;
#[cfg(test)]
mod fuzz;
pub(crate) mod pace;
pub(crate) mod path;
pub(crate) mod refusal;
pub(crate) mod service;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use floodgate_batch::SentEvents;
use floodgate_event::{ClientCertificates, Digest256};
use floodgate_listen::{Client, Reservation};
use http::request::Parts;

use self::content_coding::Coding;
pub(crate) use self::refusal::Refusal;

/// A refusal, with the request as far as it arrived.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) refusal: Refusal,
    /// The request. None if it was refused after its signature or token was verified.
    pub(crate) request: Option<Box<Arrived>>,
}

/// What there was of a request when it was refused.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) parts: Parts,
    /// The whole body, as it was sent. None if the refusal came first.
    pub(crate) body: Option<Body>,
}

/// A body that arrived whole.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) raw: Bytes,
    /// When the last byte arrived.
    pub(crate) at: SystemTime,
    /// The certificates of the TLS client.
    pub(crate) client: Option<Arc<Client>>,
    /// The memory of head and body, for as long as they are held.
    pub(crate) _memory: Reservation,
}

/// By whom and when a request was sent.
pub(crate) struct Sent {
    pub(crate) peer: SocketAddr,
    pub(crate) client: Option<Arc<Client>>,
    /// When the last byte arrived.
    pub(crate) at: SystemTime,
    /// Identifies a held request, so that it is one event however often it is replayed. `None` for any other.
    pub(crate) copy_of: Option<Digest256>,
}

impl Refused {
    /// A request that was refused before its body was read.
    pub(crate) fn unread(refusal: Refusal, parts: Parts) -> Self {
        Self { refusal, request: Some(Box::new(Arrived { parts, body: None })) }
    }

    /// A request that was refused for what it says.
    pub(crate) fn whole(refusal: Refusal, request: Received) -> Self {
        let Received { parts, raw, client, at, memory, .. } = request;
        Self {
            refusal,
            request: Some(Box::new(Arrived { parts, body: Some(Body { raw, at, client, _memory: memory }) })),
        }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, request: None }
    }
}

/// A request that arrived whole and within its bounds. [`body::receive`] builds it, or [`Received::again`]
/// for a request that was held.
#[derive(Debug)]
pub(crate) struct Received {
    parts: Parts,
    raw: Bytes,
    coding: Coding,
    limit: usize,
    peer: SocketAddr,
    client: Option<Arc<Client>>,
    at: SystemTime,
    copy_of: Option<Digest256>,
    memory: Reservation,
}

impl Received {
    /// Restores a held request, with the time at which it arrived.
    ///
    /// # Errors
    /// If its content coding is unknown, or it is larger than its source takes now.
    pub(crate) fn again(
        parts: Parts,
        raw: Bytes,
        limit: usize,
        sent: Sent,
        memory: Reservation,
    ) -> Result<Self, Refusal> {
        let Sent { peer, client, at, copy_of } = sent;
        let coding = Coding::of(&parts.headers)?;
        if raw.len() > limit {
            return Err(Refusal::TooLarge { limit });
        }
        Ok(Self { parts, raw, coding, limit, peer, client, at, copy_of, memory })
    }

    /// Returns what identifies a held request; `None` for any other.
    pub(crate) fn copy_of(&self) -> Option<&Digest256> {
        self.copy_of.as_ref()
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The bytes as they were sent, which signatures cover.
    pub(crate) fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Keeps only the bytes as they were sent and the memory that the event is counted in.
    pub(crate) fn into_counted(self) -> (Bytes, Reservation) {
        (self.raw, self.memory)
    }

    /// Keeps only the bytes as they were sent.
    #[cfg(test)]
    pub(crate) fn into_raw(self) -> Bytes {
        self.raw
    }

    /// Decodes the body. Call it only for verified requests, because an attacker could make it expensive.
    ///
    /// # Errors
    /// If the body cannot be decoded, is larger than the limit, or does not fit into the memory.
    pub(crate) fn decode(&mut self) -> Result<Bytes, Refusal> {
        self.coding.decode(&self.raw, self.limit, &mut self.memory)
    }

    /// Finds the events of the decoded body of an own application's request. What is kept of them is counted
    /// in the request's memory.
    ///
    /// # Errors
    /// As [`floodgate_batch::read`].
    pub(crate) fn events(&mut self, body: &Bytes) -> Result<SentEvents, Refusal> {
        let Self { parts, memory, .. } = self;
        Ok(floodgate_batch::read(&parts.headers, body, |bytes| memory.grow_by(bytes))?)
    }

    /// The memory that the request is counted in.
    pub(crate) fn memory(&mut self) -> &mut Reservation {
        &mut self.memory
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The certificates of the TLS client.
    pub(crate) fn client(&self) -> Option<&ClientCertificates> {
        self.client.as_deref().map(Client::certificates)
    }

    /// When the last byte arrived.
    pub(crate) fn at(&self) -> SystemTime {
        self.at
    }

    /// A received request for tests.
    #[cfg(test)]
    pub(crate) fn for_test(request: http::Request<Bytes>, at: SystemTime) -> Self {
        let (parts, raw) = request.into_parts();
        let coding = Coding::of(&parts.headers).unwrap();
        let (peer, memory) = (SocketAddr::from(([192, 0, 2, 1], 443)), Reservation::uncounted());
        Self { parts, raw, coding, limit: 1 << 20, peer, client: None, at, copy_of: None, memory }
    }
}
