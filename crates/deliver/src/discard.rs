//! Gives up open deliveries: those of a destination that was deleted, and those beyond the most that are
//! kept for a destination while it is held.
//!
//! Each is recorded in the journal with its reason before it counts as discarded.

use std::collections::HashSet;
use std::sync::Arc;

use floodgate_event::Name;
use floodgate_event::proto::{Discarded, Record, record};

use super::DispatchError;
use super::context::Shard;
use super::index::{DeliveryId, OpenDelivery, Page, Queue, Scan};

/// The most deliveries that one journal entry discards.
const PAGE: usize = 256;

/// Why deliveries are given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// Their destination was deleted.
    Removed,
    /// The destination has more open deliveries than are kept while it is held.
    Limit,
}

impl Reason {
    fn label(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Limit => "limit",
        }
    }

    /// What the API shows for a discarded delivery.
    fn text(self) -> &'static str {
        match self {
            Self::Removed => "the destination was removed",
            Self::Limit => "more deliveries were held for the destination than forward.max_held",
        }
    }
}

/// Which of a destination's open deliveries to give up.
pub(super) struct Selection<'a> {
    /// Only those that were matched by an earlier revision of the configuration than this.
    pub(super) matched_before: u64,
    /// At most this many, the oldest first.
    pub(super) limit: u64,
    /// Attempts in flight, which are left alone.
    pub(super) in_flight: &'a HashSet<DeliveryId>,
    pub(super) reason: Reason,
}

/// Discards a destination's open deliveries, a page at a time, until none is selected or the shard stops.
pub(super) async fn selected(
    shard: &Shard,
    destination: &Name,
    selection: Selection<'_>,
) -> Result<(), DispatchError> {
    let Selection { matched_before, limit, in_flight, reason } = selection;
    let mut count: u64 = 0;
    // What waits for a retry is older than what was never attempted.
    for queue in [Queue::Retry, Queue::First] {
        let mut after = None;
        while !shard.stop.is_cancelled() && count < limit {
            let page = read(shard, destination, queue, after).await?;
            if page.deliveries.is_empty() {
                break;
            }
            after = page.last;
            let is_selected = |delivery: &&OpenDelivery| {
                delivery.matched_by < matched_before && !in_flight.contains(&delivery.id)
            };
            let room = usize::try_from(limit - count).unwrap_or(usize::MAX);
            let discarded: Vec<_> = page.deliveries.iter().filter(is_selected).take(room).collect();
            count += discarded.len() as u64;
            each(shard, destination, &discarded, reason).await;
            if after.is_none() {
                break;
            }
        }
    }
    if count > 0 {
        tracing::info!(%destination, count, reason = reason.text(), "discarded open deliveries");
    }
    Ok(())
}

/// Discards each of these deliveries. If they cannot be recorded, the journal's writer has ended, which ends
/// the term: this then waits for that.
pub(super) async fn each(shard: &Shard, destination: &Name, deliveries: &[&OpenDelivery], reason: Reason) {
    if deliveries.is_empty() {
        return;
    }
    let records = deliveries.iter().map(|delivery| record(delivery, reason)).collect();
    if shard.journal.record(records).await.is_err() {
        return shard.stop.cancelled().await;
    }
    let discarded = shard.metrics.discarded.with_label_values(&[destination.as_str(), reason.label()]);
    discarded.inc_by(deliveries.len() as u64);
}

async fn read(
    shard: &Shard,
    destination: &Name,
    queue: Queue,
    after: Option<Vec<u8>>,
) -> Result<Page, DispatchError> {
    let scan = Scan { queue, after, until_us: u64::MAX, limit: PAGE };
    let (index, destination) = (Arc::clone(&shard.index), destination.clone());
    Ok(tokio::task::spawn_blocking(move || index.due(&destination, scan)).await??)
}

fn record(delivery: &OpenDelivery, reason: Reason) -> Record {
    let discarded = Discarded { delivery: Some(delivery.id.to_proto()), reason: reason.text().to_owned() };
    Record { record: Some(record::Record::Discarded(discarded)) }
}
