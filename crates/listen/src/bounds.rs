//! The bounds of a port.

use std::time::Duration;

/// The bounds of a port, its connections and its requests.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// The most open connections. Others wait in the kernel's backlog.
    pub connections: usize,
    /// The most open connections of one address. Further ones are closed at once. Trusted proxies may have
    /// any number.
    pub address_connections: usize,
    /// The most connections in the kernel's backlog. The kernel lowers this to its own `net.core.somaxconn`.
    pub backlog: u32,
    /// The most concurrent requests of an HTTP/2 connection.
    pub streams: u32,
    /// The most requests on one connection. Then it ends in good order.
    pub connection_requests: u64,
    /// The most header fields of a request, in either protocol.
    pub head_fields: usize,
    /// The most bytes of an HTTP/1 request's head.
    pub head_bytes: usize,
    /// The most bytes of an HTTP/2 request's header list. Each field counts as 32 bytes more than its own.
    pub list_bytes: u32,
    /// The most TLS handshakes under way. Further ones wait.
    pub handshakes: usize,
    /// The most TLS handshakes under way with one address. Further ones wait. Trusted proxies may have any
    /// number.
    pub address_handshakes: usize,
    /// How long a TLS handshake may take, with the wait before it.
    pub handshake: Duration,
    /// How long it may take until the headers of the next request have arrived.
    pub head: Duration,
    /// How long a peer may go without reading a byte of its answer.
    pub write: Duration,
    /// When the port stops: how long incomplete requests and answers may still take.
    pub last_bytes: Duration,
}
