//! Connecting to the centre's and the regions' NATS.

use std::path::Path;
use std::time::Duration;

use async_nats::jetstream::{Context, ContextBuilder};
use async_nats::{Client, ConnectOptions, Event};

use crate::{Link, LinkError, Settings, SettingsError};

/// A dead peer is noticed within two of these; the library's default of a minute is too slow for that.
const PING_INTERVAL: Duration = Duration::from_secs(3);
/// How long an API request or an append's ack may take before it counts as in doubt.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that is retried, in the background, for as long as it lives.
/// `label` names the other side in logs.
///
/// # Errors
/// If a file that the settings name cannot be used. An unreachable server is not an error.
pub async fn connect(label: &str, settings: &Settings) -> Result<Link, ConnectError> {
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
    let link = Link::start(&servers, configure, move |event| log_event(&logged, event)).await;
    link.map_err(|error| ConnectError::Link(label.to_owned(), error))
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
    /// The configuration is at fault, or a file that it names.
    #[error("the NATS of {0}: {1}")]
    Settings(String, #[source] SettingsError),
    /// The client does not start.
    #[error("the NATS of {0}")]
    Link(String, #[source] LinkError),
}
