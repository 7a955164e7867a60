//! Giving up what is open for a destination that was removed or disabled.

use std::sync::Arc;

use floodgate_event::Name;
use floodgate_event::proto::{Discarded, Record, record};

use super::ForwardError;
use super::attempt::Desk;
use super::index::{Page, Queue, Queued, Scan};

/// Deliveries that one journal entry discards.
const PAGE: usize = 256;

/// Discards all open deliveries of a destination, until the desk closes. Nothing may be under way for it.
pub(super) async fn all_open(desk: &Desk, destination: &Name, reason: &str) -> Result<(), ForwardError> {
    let mut count = 0;
    for queue in [Queue::First, Queue::Retry] {
        let mut behind = None;
        while !desk.stop.is_cancelled() {
            let page = read(desk, destination, queue, behind).await?;
            if page.deliveries.is_empty() {
                break;
            }
            count += page.deliveries.len();
            behind = page.last;
            let records = page.deliveries.iter().map(|queued| record(queued, reason)).collect();
            if desk.journal.record(records).await.is_err() {
                // The writer has ended, and takes everything down with it.
                desk.stop.cancelled().await;
            }
        }
    }
    if count > 0 {
        tracing::info!(%destination, count, reason, "discarded open deliveries");
    }
    Ok(())
}

async fn read(
    desk: &Desk,
    destination: &Name,
    queue: Queue,
    behind: Option<Vec<u8>>,
) -> Result<Page, ForwardError> {
    let scan = Scan { queue, behind, until_us: u64::MAX, limit: PAGE };
    let (index, destination) = (Arc::clone(&desk.index), destination.clone());
    Ok(tokio::task::spawn_blocking(move || index.page(&destination, scan)).await??)
}

fn record(queued: &Queued, reason: &str) -> Record {
    let discarded = Discarded { delivery: Some(queued.id.to_proto()), reason: reason.to_owned() };
    Record { record: Some(record::Record::Discarded(discarded)) }
}
