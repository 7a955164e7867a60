//! Publishes the lines that handlers log to the region's NATS. Nothing is stored: without a subscriber, the
//! server drops a line at once.

use std::time::SystemTime;

use floodgate_event::{Name, subject, time};
use floodgate_stream::Connection;
use serde::Serialize;
use tokio::sync::mpsc;
use tracing::debug;

use crate::chain::LogLine;

/// A line as it is published.
#[derive(Serialize)]
struct Published<'a> {
    region: &'a Name,
    gateway: &'a Name,
    at_us: u64,
    #[serde(flatten)]
    line: &'a LogLine,
}

/// Publishes for ever. While the region's NATS is away, lines are dropped: they are in this process's own log
/// too.
pub(super) async fn run(nats: Connection, region: Name, gateway: Name, mut lines: mpsc::Receiver<LogLine>) {
    while let Some(line) = lines.recv().await {
        if nats.is_up() {
            let at_us = time::unix_micros(SystemTime::now());
            let published = Published { region: &region, gateway: &gateway, at_us, line: &line };
            publish(&nats, &published).await;
        }
    }
}

async fn publish(nats: &Connection, published: &Published<'_>) {
    // A struct of texts and numbers always has a JSON form.
    let Ok(text) = serde_json::to_vec(published) else { return };
    let sent = nats.client().publish(subject::handler_log(&published.line.handler), text.into()).await;
    if let Err(error) = sent {
        debug!(%error, "a handler's line was not published");
    }
}
