//! Removes the deliveries of a part of the log that is lost. Other events will have the sequences of that
//! part.

use std::collections::BTreeMap;

use floodgate_event::Name;
use prost::Message as _;

use super::IndexError;
use super::fold::BacklogChange;
use super::key::{DeliveryId, attempts_prefix, event_prefix};
use super::storage::{Tables, dead_key, decode, tally_key};
use super::values::{DeliveryRow, Phase};

/// The most deliveries that one batch removes. A crash between two batches is harmless: the record is folded
/// again, and removes the rest.
const CHUNK: usize = 10_000;

/// Removes the deliveries of all events after the log sequence `through`. Those that were open count as
/// discarded. Returns how that changed each destination's backlog.
pub(super) fn forget_after(
    tables: &Tables,
    through: u64,
) -> Result<BTreeMap<Name, BacklogChange>, IndexError> {
    let mut closed = BTreeMap::new();
    let Some(first) = through.checked_add(1) else { return Ok(closed) };
    loop {
        let from = event_prefix(first, 0).to_vec();
        let mut chunk = Vec::with_capacity(CHUNK);
        for entry in tables.deliveries.range(from..).take(CHUNK) {
            let (key, value) = entry.into_inner()?;
            let row: DeliveryRow = decode(&value, "a delivery")?;
            chunk.push((DeliveryId::decode(&key)?, row));
        }
        if chunk.is_empty() {
            return Ok(closed);
        }
        remove(tables, &chunk, &mut closed)?;
    }
}

fn remove(
    tables: &Tables,
    chunk: &[(DeliveryId, DeliveryRow)],
    closed: &mut BTreeMap<Name, BacklogChange>,
) -> Result<(), IndexError> {
    let mut batch = tables.db.batch();
    let mut discarded: BTreeMap<&str, u64> = BTreeMap::new();
    let mut dead: BTreeMap<&Name, u64> = BTreeMap::new();
    for (id, row) in chunk {
        let delivery = id.encode();
        if let Some(queued) = row.queue_key(&id.destination) {
            batch.remove(&tables.queue, queued);
            *discarded.entry(&row.source).or_default() += 1;
            closed.entry(id.destination.clone()).or_default().open -= 1;
        }
        for attempt in tables.attempts.prefix(attempts_prefix(&delivery)) {
            batch.remove(&tables.attempts, attempt.key()?);
        }
        if row.phase() == Phase::Dead {
            *dead.entry(&id.destination).or_default() += 1;
            closed.entry(id.destination.clone()).or_default().dead -= 1;
        }
        batch.remove(&tables.dead, delivery.clone());
        batch.remove(&tables.deliveries, delivery);
    }
    for (destination, count) in dead {
        let left = tables.dead_of(destination)?.saturating_sub(count);
        batch.insert(&tables.meta, dead_key(destination), left.to_be_bytes());
    }
    for (source, count) in discarded {
        let mut tally = tables.tally(source)?;
        tally.discarded += count;
        batch.insert(&tables.meta, tally_key(source), tally.encode_to_vec());
    }
    Ok(batch.commit()?)
}
