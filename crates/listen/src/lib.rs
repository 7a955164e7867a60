//! A port and its connections. It accepts connections within bounds, speaks TLS and HTTP, and ends
//! connections that make others wait: peers that send nothing, read nothing, or occupy memory. A [`Service`]
//! answers the requests.

mod activity;
mod answer;
mod bounds;
mod buffers;
mod client;
mod connection;
mod ended;
mod explained;
mod head;
mod memory;
mod payload;
mod places;
mod port;
mod protocol;
mod proxies;
mod rules;
mod socket;
mod watch;

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;

pub use self::answer::AnswerBody;
pub use self::bounds::Bounds;
pub use self::client::Client;
pub use self::connection::Tls;
pub use self::explained::UnreadableHead;
pub use self::memory::{Account, Budget, Exhausted, Reservation, Shares, network};
pub use self::payload::Payload;
pub use self::port::{Port, PortMetrics, bind};
pub use self::protocol::HTTP2;
pub use self::proxies::{ForwardedField, Proxies};
pub use self::rules::{BadHead, HeadLimits, awaits_continue, check_head};

/// Answers the requests of a port.
pub trait Service: Send + Sync + 'static {
    /// The body of its answers.
    type Body: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + Unpin
        + 'static;

    /// Answers a request. It is called as soon as the head has arrived, and before anything waits. Many
    /// requests may arrive at once, so a service best drops a head that it refuses before it returns the
    /// future.
    fn call(
        self: Arc<Self>,
        request: Request<Payload>,
        context: RequestContext,
    ) -> impl Future<Output = Response<Self::Body>> + Send + 'static;

    /// Answers an HTTP/1 head that cannot be read. The port closes the connection afterwards.
    fn explain(&self, unread: UnreadableHead, peer: SocketAddr) -> Response<Bytes>;

    /// Called when the port refuses a connection, or closes it before it had a request. `reason` is one of a
    /// few labels, and `why` is the full text. Anyone can cause this at any rate.
    fn connection_refused(&self, peer: SocketAddr, reason: &'static str, why: &dyn fmt::Display) {
        let _ = (peer, reason, why);
    }

    /// Answers an HTTP/2 request whose stream there is no memory for, without content: nothing of the request
    /// is kept meanwhile, and no window of the peer can hold the answer back.
    fn without_memory(&self, peer: SocketAddr) -> Response<()>;
}

/// What a service learns beside the request itself.
#[derive(Debug)]
pub struct RequestContext {
    /// The address of the sender: that of the connection, or what a trusted proxy told.
    pub peer: SocketAddr,
    /// The certificates of the TLS client, if it was asked for them and has any.
    pub client: Option<Arc<Client>>,
    /// The memory of the head and its copies. The service adds what else the request needs.
    pub memory: Result<Reservation, Exhausted>,
}
