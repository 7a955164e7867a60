//! The connection to the region's NATS: retried for ever, noticed at once when it is lost.

use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, Event};
use floodgate_event::subject;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::config::Nats;

/// A dead peer is noticed after two of these. The client's own default is a minute.
const PING_INTERVAL: Duration = Duration::from_secs(2);
/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest pause between attempts.
const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(2);
/// Messages that may wait in the client, so that it is we who hold the queue.
const CLIENT_CAPACITY: usize = 1_024;

/// A client with a gateway's rights, for whoever looks at a region from a gateway's place. An unreachable server is tried
/// again for as long as the client lives.
///
/// # Errors
/// If the address or the credentials are unusable.
pub async fn connect(nats: &Nats, name: &str) -> Result<Client, LinkError> {
    Ok(Link::start(nats, name).await?.client)
}

/// A connection that looks after itself.
#[derive(Clone)]
pub(crate) struct Link {
    client: Client,
    losses: watch::Receiver<u64>,
}

/// The server's address or credentials are unusable. Being out of reach is not an error: it is retried.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the NATS server: {0}")]
pub struct LinkError(#[source] async_nats::ConnectError);

impl Link {
    /// Starts connecting and returns at once.
    pub(crate) async fn start(nats: &Nats, name: &str) -> Result<Self, LinkError> {
        let (lost, losses) = watch::channel(0);
        let mut options = ConnectOptions::new()
            .name(name)
            .custom_inbox_prefix(subject::GATEWAY_INBOX)
            .retry_on_initial_connect()
            .ping_interval(PING_INTERVAL)
            .connection_timeout(CONNECT_TIMEOUT)
            .reconnect_delay_callback(|attempts| {
                Duration::from_millis(50).saturating_mul(1 << attempts.min(10)).min(MAX_RECONNECT_DELAY)
            })
            .client_capacity(CLIENT_CAPACITY)
            .event_callback(move |event| {
                let lost = lost.clone();
                async move { observe(&event, &lost) }
            });
        if let Some((user, password)) = &nats.credentials {
            options = options.user_and_password(user.clone(), password.expose().to_owned());
        }
        let client = options.connect(nats.url.clone()).await.map_err(LinkError)?;
        Ok(Self { client, losses })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn is_up(&self) -> bool {
        self.client.connection_state() == State::Connected
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
