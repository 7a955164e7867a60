//! Giving up open deliveries: those of a destination that was deleted, and those beyond what is held for one.

use std::collections::HashSet;
use std::sync::Arc;

use floodgate_event::Name;
use floodgate_event::proto::{Discarded, Record, record};

use super::ForwardError;
use super::attempt::Desk;
use super::index::{DeliveryId, Page, Queue, Queued, Scan};

/// Deliveries that one journal entry discards.
const PAGE: usize = 256;

/// Why deliveries are given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Their destination was deleted.
    Removed,
    /// More are held than may be.
    Limit,
}

impl Why {
    fn as_str(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Limit => "limit",
        }
    }

    /// In words, for whoever looks at the event.
    fn reason(self) -> &'static str {
        match self {
            Self::Removed => "the destination was removed",
            Self::Limit => "more deliveries were held for the destination than forward.max_held",
        }
    }
}

/// Which of a destination's open deliveries to give up. None of those that are under way.
pub(super) struct Which<'a> {
    /// Those that were matched by an earlier revision of the configuration than this.
    pub(super) before: u64,
    /// At most so many, the oldest first.
    pub(super) most: u64,
    pub(super) under_way: &'a HashSet<DeliveryId>,
    pub(super) why: Why,
}

/// Discards open deliveries of a destination, until the desk closes.
pub(super) async fn open(desk: &Desk, destination: &Name, which: Which<'_>) -> Result<(), ForwardError> {
    let mut count: u64 = 0;
    // What waits to be attempted again is older than what was never attempted.
    for queue in [Queue::Retry, Queue::First] {
        let mut behind = None;
        while !desk.stop.is_cancelled() && count < which.most {
            let page = read(desk, destination, queue, behind).await?;
            if page.deliveries.is_empty() {
                break;
            }
            behind = page.last;
            let fits =
                |queued: &&Queued| queued.matched_by < which.before && !which.under_way.contains(&queued.id);
            let room = usize::try_from(which.most - count).unwrap_or(usize::MAX);
            let given_up: Vec<_> = page.deliveries.iter().filter(fits).take(room).collect();
            count += given_up.len() as u64;
            these(desk, destination, &given_up, which.why).await;
            if behind.is_none() {
                break;
            }
        }
    }
    if count > 0 {
        tracing::info!(%destination, count, reason = which.why.reason(), "discarded open deliveries");
    }
    Ok(())
}

/// Discards these. Where they cannot be recorded the writer has ended, and takes everything down with it.
pub(super) async fn these(desk: &Desk, destination: &Name, queued: &[&Queued], why: Why) {
    if queued.is_empty() {
        return;
    }
    let records = queued.iter().map(|queued| record(queued, why)).collect();
    if desk.journal.record(records).await.is_err() {
        return desk.stop.cancelled().await;
    }
    let discarded = desk.metrics.discarded.with_label_values(&[destination.as_str(), why.as_str()]);
    discarded.inc_by(queued.len() as u64);
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

fn record(queued: &Queued, why: Why) -> Record {
    let discarded = Discarded { delivery: Some(queued.id.to_proto()), reason: why.reason().to_owned() };
    Record { record: Some(record::Record::Discarded(discarded)) }
}
