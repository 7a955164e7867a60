//! The protocols that a port speaks.

use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::bounds::Bounds;

/// The least bytes of HTTP/1's buffer for headers.
const MIN_BUFFER: usize = 8 * 1024;
/// The most header fields of HTTP/1 that hyper takes by itself.
const DEFAULT_FIELDS: usize = 100;
/// The interval of HTTP/2 pings, and how long a peer may take to answer one.
const PING: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));

/// ALPN's name of HTTP/2 (RFC 9113).
pub const HTTP2: &[u8] = b"h2";

/// The protocol that ALPN chose, or HTTP/1.1 without ALPN. It is never guessed from the first bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// The most bytes of HTTP/1's buffer, in which a head must fit.
pub(crate) fn buffer_bytes(bounds: &Bounds) -> usize {
    MIN_BUFFER.max(bounds.head_bytes)
}

/// How HTTP/1.1 is served within these bounds.
pub(crate) fn http1(bounds: &Bounds) -> http1::Builder {
    let mut builder = http1::Builder::new();
    if bounds.head_fields != DEFAULT_FIELDS {
        // Another number than hyper's own takes a buffer from the heap for each head.
        builder.max_headers(bounds.head_fields);
    }
    builder
        .timer(TokioTimer::new())
        // A complete request is processed to its end, even if its sender has closed its side. The socket is
        // not read meanwhile.
        .half_close(true)
        .header_read_timeout(bounds.head)
        // The size counts when a head is complete, so that the result does not depend on TCP segments.
        .max_header_size(bounds.head_bytes)
        .max_buf_size(buffer_bytes(bounds));
    builder
}

/// How HTTP/2 is served within these bounds.
pub(crate) fn http2(bounds: &Bounds) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(bounds.streams)
        .max_header_list_size(bounds.list_bytes)
        .keep_alive_interval(PING.0)
        .keep_alive_timeout(PING.1);
    builder
}
