//! A port and its connections: accepts within bounds, speaks TLS and HTTP, and ends whatever makes others
//! wait: peers that send nothing, read nothing, or hoard memory. What is answered is the service's affair.

mod activity;
mod answer;
mod bounds;
mod buffers;
mod connection;
mod explained;
mod head;
mod memory;
mod payload;
mod port;
mod rules;
mod socket;
mod watch;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;

pub use self::answer::Held;
pub use self::bounds::Bounds;
pub use self::connection::HTTP2;
pub use self::explained::Unread;
pub use self::memory::{Account, Budget, Exhausted, Reservation, Shares};
pub use self::payload::Payload;
pub use self::port::{Port, PortMetrics, Tls, bind};
pub use self::rules::{BadHead, MAX_FIELDS, awaits_continue, check_head};

/// What answers requests.
pub trait Service: Send + Sync + 'static {
    /// What it answers with.
    type Body: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + Unpin
        + 'static;

    /// Answers one. Called as soon as its head is here, and before anything waits:
    /// many may come at once, and a head that is not taken is best dropped before the future is made.
    fn call(
        self: Arc<Self>,
        request: Request<Payload>,
        visit: Visit,
    ) -> impl Future<Output = Response<Self::Body>> + Send + 'static;

    /// Answers a head of HTTP/1 that cannot be read. The connection is closed after it.
    fn explain(&self, unread: Unread, peer: SocketAddr) -> Response<Bytes>;
}

/// What comes with a request.
#[derive(Debug)]
pub struct Visit {
    /// Who sent it.
    pub peer: SocketAddr,
    /// What its head takes, copies included. The rest of what it needs is added to it.
    pub memory: Result<Reservation, Exhausted>,
}
