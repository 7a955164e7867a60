//! Publishes what handlers log to the region's NATS, for whoever follows it there. Nothing is kept:
//! without a follower the server drops a line at once.

use std::time::SystemTime;

use floodgate_event::{Name, subject, time};
use serde::Serialize;
use tokio::sync::mpsc;
use tracing::debug;

use crate::chain::Entry;
use crate::link::Link;

/// A line as it is published.
#[derive(Serialize)]
struct Published<'a> {
    region: &'a Name,
    gateway: &'a Name,
    at_us: u64,
    #[serde(flatten)]
    entry: &'a Entry,
}

/// Publishes for ever. While the region's NATS is away lines are thrown away:
/// they are in this process's own log too.
pub(super) async fn run(link: Link, region: Name, gateway: Name, mut entries: mpsc::Receiver<Entry>) {
    while let Some(entry) = entries.recv().await {
        if link.is_up() {
            let at_us = time::unix_micros(SystemTime::now());
            let published = Published { region: &region, gateway: &gateway, at_us, entry: &entry };
            publish(&link, &published).await;
        }
    }
}

async fn publish(link: &Link, line: &Published<'_>) {
    // A struct of texts and numbers always has a JSON form.
    let Ok(text) = serde_json::to_vec(line) else { return };
    let sent = link.client().publish(subject::handler_log(&line.entry.handler), text.into()).await;
    if let Err(error) = sent {
        debug!(%error, "a handler's line was not published");
    }
}
