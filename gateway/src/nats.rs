//! The connection to the region's NATS: retried for ever, noticed at once when it is lost.

use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event};
use floodgate_event::subject;
pub use floodgate_stream::LinkError;
use floodgate_stream::{Link, Servers};
use tokio::sync::watch;
use tracing::{info, warn};

/// A dead peer is noticed after two of these. The client's own default is a minute.
const PING_INTERVAL: Duration = Duration::from_secs(2);
/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Messages that may wait in the client, so that it is we who hold the queue.
const CLIENT_CAPACITY: usize = 1_024;

/// A connection with a gateway's rights, for whoever looks at a region from a gateway's place.
/// An unreachable server is tried again for as long as it lives.
///
/// # Errors
/// If the client cannot be made.
pub async fn connect(servers: &Servers, name: &str) -> Result<Link, LinkError> {
    Ok(Connection::start(servers, name).await?.link)
}

/// The region's NATS, and how often it was lost.
#[derive(Clone)]
pub(crate) struct Connection {
    link: Link,
    losses: watch::Receiver<u64>,
}

impl Connection {
    /// Starts connecting and returns at once.
    pub(crate) async fn start(servers: &Servers, name: &str) -> Result<Self, LinkError> {
        let (lost, losses) = watch::channel(0);
        let configure = |options: ConnectOptions| {
            options
                .name(name)
                .custom_inbox_prefix(subject::GATEWAY_INBOX)
                .ping_interval(PING_INTERVAL)
                .connection_timeout(CONNECT_TIMEOUT)
                .client_capacity(CLIENT_CAPACITY)
        };
        let link = Link::start(servers, configure, move |event| observe(event, &lost)).await?;
        Ok(Self { link, losses })
    }

    pub(crate) fn client(&self) -> &Client {
        self.link.client()
    }

    /// The link itself, which can take another identity.
    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    pub(crate) fn is_up(&self) -> bool {
        self.link.is_up()
    }

    /// Whether another server may take over when this one goes.
    pub(crate) fn has_others(&self) -> bool {
        self.link.has_others()
    }

    /// Returns once it is connected, which may be never.
    pub(crate) async fn until_up(&self) {
        self.link.until_up().await;
    }

    /// How often the connection was lost so far; a change ends whatever was under way on it.
    pub(crate) fn losses(&self) -> watch::Receiver<u64> {
        self.losses.clone()
    }
}

fn observe(event: &Event, lost: &watch::Sender<u64>) {
    match event {
        Event::Connected => info!("connected to NATS"),
        Event::Disconnected | Event::Closed => {
            lost.send_modify(|count| *count += 1);
            warn!("connection to NATS lost");
        }
        Event::ClientError(error) => warn!(%error, "NATS client"),
        Event::ServerError(error) => warn!(%error, "NATS server"),
        Event::SlowConsumer(subscription) => warn!(subscription, "NATS subscription cannot keep up"),
        Event::LameDuckMode => info!("NATS server is about to stop"),
        Event::Draining => {}
    }
}
