//! Why a connection ended.

use crate::proxies::Fault;

/// Why this side ended a connection, or which fault ended it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error("TLS handshake failed: {0}")]
    Handshake(#[source] std::io::Error),
    #[error("TLS handshake took too long")]
    SlowHandshake,
    #[error("too many TLS handshakes were under way")]
    Handshakes,
    #[error("its address has as many connections as it may")]
    AddressConnections,
    #[error("it has had as many requests as it may")]
    Requests,
    #[error("{0}")]
    Proxy(#[from] Fault),
    #[error("{0}")]
    Protocol(#[source] hyper::Error),
    #[error("no memory for what it sent")]
    Memory,
    #[error("the peer does not read its answers")]
    Unread,
    #[error("it did not end by itself")]
    Left,
}

impl Ended {
    /// The label under which the service is told of a connection that was refused. None if the peer was
    /// served, or went by itself.
    pub(crate) fn refusal(&self) -> Option<&'static str> {
        match self {
            Self::Handshake(_) => Some("tls"),
            Self::Proxy(_) => Some("proxy"),
            Self::SlowHandshake | Self::Memory | Self::Handshakes | Self::AddressConnections => self.reason(),
            Self::Protocol(_) | Self::Unread | Self::Left | Self::Requests => None,
        }
    }

    /// The label of the metric that counts connections which this side cut off.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Handshake(_) | Self::Protocol(_) => None,
            Self::Proxy(fault) => fault.reason(),
            Self::SlowHandshake => Some("handshake"),
            Self::Handshakes => Some("handshakes"),
            Self::AddressConnections => Some("address_connections"),
            Self::Requests => Some("requests"),
            Self::Memory => Some("memory"),
            Self::Unread => Some("unread"),
            Self::Left => Some("idle"),
        }
    }
}
