//! The relay's connections to the NATS of the centre and of the regions.

use std::path::Path;
use std::time::Duration;

use async_nats::jetstream::{Context, ContextBuilder};
use async_nats::{Client, ConnectOptions, Event};

use crate::{ClientError, Connection, Settings, SettingsError};

/// The client notices a dead peer within two of these. The library's default of a minute is too slow.
const PING_INTERVAL: Duration = Duration::from_secs(3);
/// How long an API request or the ack of an append may take. After that its outcome is in doubt.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects, and reconnects in the background for as long as the connection lives. `label` names the other
/// side in logs.
///
/// # Errors
/// If a file that the settings name cannot be used. An unreachable server is not an error.
pub async fn connect(label: &str, settings: &Settings) -> Result<Connection, ConnectError> {
    let refused = |error| ConnectError::Settings(label.to_owned(), error);
    let servers = settings.read(Path::new("")).map_err(refused)?;
    let configure = |options: ConnectOptions| {
        options
            .name("floodgate-relay")
            .ping_interval(PING_INTERVAL)
            .request_timeout(Some(REQUEST_TIMEOUT))
            .connection_timeout(REQUEST_TIMEOUT)
    };
    let logged = label.to_owned();
    let connection = Connection::start(&servers, configure, move |event| log_event(&logged, event)).await;
    connection.map_err(|error| ConnectError::Client(label.to_owned(), error))
}

/// JetStream of a client, with the time limits of this crate.
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
    /// The settings, or a file that they name, are wrong.
    #[error("the NATS of {0}: {1}")]
    Settings(String, #[source] SettingsError),
    /// The NATS client cannot be made.
    #[error("the NATS of {0}")]
    Client(String, #[source] ClientError),
}
