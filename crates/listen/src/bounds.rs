//! What a port allows its peers.

use std::time::Duration;

/// Bounds of a port, its connections and its requests.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Connections at once; more wait in the kernel's backlog.
    pub connections: usize,
    /// Connections that the kernel keeps until they are accepted.
    /// It cuts this to its own `net.core.somaxconn`.
    pub backlog: u32,
    /// Requests at once on an HTTP/2 connection.
    pub streams: u32,
    /// Bytes of an HTTP/1 request's head.
    pub head_bytes: usize,
    /// Bytes of an HTTP/2 request's header list, each field counted with 32 more.
    pub list_bytes: u32,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long the next request may take to begin and to have its headers here.
    pub head: Duration,
    /// How long a peer may leave an answer lying without taking a byte of it.
    pub write: Duration,
    /// When the port stops: how long requests that are not here whole, and answers, may still take.
    pub last_bytes: Duration,
}
