//! Connecting to the centre's and the regions' NATS.

use std::time::Duration;

use async_nats::jetstream::{Context, ContextBuilder};
use async_nats::{Client, ConnectOptions, Event};

use crate::config::{ConfigError, Nats};

/// A dead peer is noticed within two of these; the library's default of a minute is too slow for that.
const PING_INTERVAL: Duration = Duration::from_secs(3);
/// How long an API request or an append's ack may take before it counts as in doubt.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest wait between two attempts to reach a server.
const MAX_RECONNECT_PAUSE: Duration = Duration::from_secs(2);

/// A client that goes on trying to connect, in the background, for as long as it lives. `label` names the other side
/// in logs.
///
/// # Errors
/// If the password file cannot be read or the URL is malformed. An unreachable server is not an error.
pub async fn connect(label: &str, nats: &Nats) -> Result<Client, ConnectError> {
    let (label, place) = (label.to_owned(), label.to_owned());
    let mut options = ConnectOptions::new()
        .name("floodgate-relay")
        .retry_on_initial_connect()
        .ping_interval(PING_INTERVAL)
        .request_timeout(Some(REQUEST_TIMEOUT))
        .connection_timeout(REQUEST_TIMEOUT)
        .reconnect_delay_callback(|attempts| {
            let pause = Duration::from_millis(50 * (1 << attempts.min(6)));
            pause.min(MAX_RECONNECT_PAUSE)
        })
        .event_callback(move |event| {
            let label = label.clone();
            async move { log_event(&label, &event) }
        });
    if let (Some(user), Some(password)) = (&nats.user, nats.password()?) {
        options = options.user_and_password(user.clone(), password.expose().to_owned());
    }
    let servers: Vec<&str> = nats.url.split(',').map(str::trim).collect();
    options.connect(servers).await.map_err(|error| ConnectError::Url(place, error))
}

/// The JetStream API of a client.
pub fn jetstream(client: &Client) -> Context {
    ContextBuilder::new().timeout(REQUEST_TIMEOUT).ack_timeout(REQUEST_TIMEOUT).build(client.clone())
}

fn log_event(label: &str, event: &Event) {
    match event {
        Event::Connected => tracing::info!(nats = label, "connected"),
        Event::Disconnected => tracing::warn!(nats = label, "disconnected"),
        other => tracing::warn!(nats = label, event = %other, "connection event"),
    }
}

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The configuration is at fault.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The URL is, which may hold a password and so is not quoted.
    #[error("the URL of {0}'s NATS cannot be used")]
    Url(String, #[source] async_nats::ConnectError),
}
