//! Connections that must stand now, unlike the relay's own, which wait for ever.

use std::time::Duration;

use async_nats::jetstream::Context;
use floodgate_nats::Settings;
use tokio::time::{Instant, sleep};

use super::BackupError;
use crate::nats;

/// How long a server may take to let a client in.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// A connection that stands.
pub(super) async fn reach(label: &str, settings: &Settings) -> Result<Context, BackupError> {
    let link = nats::connect(label, settings).await?;
    let deadline = Instant::now() + CONNECT_LIMIT;
    while !link.is_up() {
        if Instant::now() > deadline {
            return Err(BackupError::Unreachable(label.to_owned()));
        }
        sleep(PAUSE).await;
    }
    Ok(nats::jetstream(link.client()))
}
