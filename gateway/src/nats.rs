//! The connection to the region's NATS. It retries without end and notices a loss at once.

use std::time::Duration;

use async_nats::{ConnectOptions, Event};
use floodgate_event::subject;
pub use floodgate_stream::ClientError;
use floodgate_stream::{Connection, Servers};
use tracing::{info, warn};

/// The client notices a dead peer after two of these. Its own default is a minute.
const PING_INTERVAL: Duration = Duration::from_secs(2);
/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How many messages the client may queue. It is small because the queue is the gateway's own.
const CLIENT_CAPACITY: usize = 1_024;

/// Starts connecting with the rights of a gateway, and returns at once. The client retries an unreachable
/// server for as long as the connection lives. `name` is what the server's logs call it.
///
/// # Errors
/// If the client cannot be made.
pub async fn connect(servers: &Servers, name: &str) -> Result<Connection, ClientError> {
    let configure = |options: ConnectOptions| {
        options
            .name(name)
            .custom_inbox_prefix(subject::GATEWAY_INBOX)
            .ping_interval(PING_INTERVAL)
            .connection_timeout(CONNECT_TIMEOUT)
            .client_capacity(CLIENT_CAPACITY)
    };
    Connection::start(servers, configure, log_event).await
}

fn log_event(event: &Event) {
    match event {
        Event::Connected => info!("connected to NATS"),
        Event::Disconnected | Event::Closed => warn!("connection to NATS lost"),
        Event::ClientError(error) => warn!(%error, "NATS client"),
        Event::ServerError(error) => warn!(%error, "NATS server"),
        Event::SlowConsumer(subscription) => warn!(subscription, "NATS subscription cannot keep up"),
        Event::LameDuckMode => info!("NATS server is about to stop"),
        Event::Draining => {}
    }
}
