//! The protocols that a port speaks.

/// ALPN's name of HTTP/2 (RFC 9113).
pub const HTTP2: &[u8] = b"h2";

/// The protocol that ALPN chose, or HTTP/1.1 without ALPN. It is never guessed from the first bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}
