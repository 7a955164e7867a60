//! Collects what a lane matched until it is recorded, and cuts it into records and entries of a bounded size.
//!
//! A block of the log can match thousands of destinations, and the server takes messages of at most 8 MiB. So
//! a large match becomes several records. All but the last say that there is more, and only the last one
//! moves the lane's cursor.

use std::collections::BTreeMap;

use floodgate_event::proto::{Matched, MatchedEvents, Record, SourceCount, Target, record};
use prost::Message as _;

use super::super::journal::BLOCK_BYTES;

/// The number of deliveries after which a batch is recorded, and the most that one record names.
const BATCH_DELIVERIES: usize = 4096;
/// The most bytes that the targets of one record take.
const RECORD_BYTES: usize = BLOCK_BYTES / 2;
/// The most blocks that no destination gets before the cursor is recorded all the same.
const MAX_UNRECORDED: u64 = 256;

/// What is recorded next.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) records: Vec<Record>,
    bytes: usize,
    deliveries: usize,
    /// The last block that was read, if no destination gets any event of it.
    pub(super) unmatched_through: Option<u64>,
    /// How many blocks without a destination were read since the last record.
    unrecorded: u64,
    /// How many events were routed, and how many matched nothing, since the last record.
    pub(super) counts: EventCounts,
}

/// Stored events by source. Each is counted once, however many destinations get it.
#[derive(Default)]
pub(super) struct EventCounts {
    routed: BTreeMap<String, u64>,
    unmatched: BTreeMap<String, u64>,
}

impl EventCounts {
    /// Counts one stored event of this source.
    pub(super) fn add(&mut self, source: &str, is_matched: bool) {
        let counts = if is_matched { &mut self.routed } else { &mut self.unmatched };
        match counts.get_mut(source) {
            Some(count) => *count += 1,
            None => drop(counts.insert(source.to_owned(), 1)),
        }
    }

    fn take(&mut self) -> MatchedEvents {
        let counts = |counts: BTreeMap<String, u64>| {
            counts.into_iter().map(|(source, count)| SourceCount { source, count }).collect()
        };
        let Self { routed, unmatched } = std::mem::take(self);
        MatchedEvents { routed: counts(routed), unmatched: counts(unmatched) }
    }
}

impl Batch {
    /// Returns true if another block may be added before the batch is recorded.
    pub(super) fn has_room(&self) -> bool {
        self.bytes < BLOCK_BYTES / 2 && self.deliveries < BATCH_DELIVERIES && self.unrecorded < MAX_UNRECORDED
    }

    /// Notes that no destination gets any event of this block.
    pub(super) fn skip(&mut self, sequence: u64) {
        self.unmatched_through = Some(sequence);
        self.unrecorded += 1;
    }

    /// Adds what a block matched, and moves the counts of events since the last record into it.
    pub(super) fn push(&mut self, matched: Matched) {
        let matched = Matched { events: Some(self.counts.take()), ..matched };
        self.unmatched_through = None;
        self.unrecorded = 0;
        for part in split(matched) {
            self.deliveries += part.targets.iter().map(|target| target.indexes.len()).sum::<usize>();
            let record = Record { record: Some(record::Record::Matched(part)) };
            self.bytes += record.encoded_len();
            self.records.push(record);
        }
    }

    /// Returns true if the cursor is to be recorded although no destination gets anything.
    pub(super) fn is_worth_a_record(&self, idle: bool) -> bool {
        self.unmatched_through.is_some()
            && (idle || !self.records.is_empty() || self.unrecorded >= MAX_UNRECORDED)
    }
}

/// Splits what a block matched into records of a bounded size. All but the last say that there is more.
fn split(matched: Matched) -> Vec<Matched> {
    let Matched { log_sequence, lane, config_revision, events, .. } = matched;
    let part = |targets| Matched { log_sequence, lane, config_revision, targets, events: None, more: true };
    let (mut parts, mut targets) = (Vec::new(), Vec::new());
    let (mut deliveries, mut bytes) = (0, 0);
    for target in matched.targets.into_iter().flat_map(split_target) {
        let (more_deliveries, more_bytes) = (target.indexes.len(), target.encoded_len());
        let full = deliveries + more_deliveries > BATCH_DELIVERIES || bytes + more_bytes > RECORD_BYTES;
        if full && !targets.is_empty() {
            parts.push(part(std::mem::take(&mut targets)));
            (deliveries, bytes) = (0, 0);
        }
        targets.push(target);
        (deliveries, bytes) = (deliveries + more_deliveries, bytes + more_bytes);
    }
    // Events are counted once, with the part that moves the cursor.
    parts.push(Matched { events, more: false, ..part(targets) });
    parts
}

/// Splits a target so that each piece fits into a record.
fn split_target(target: Target) -> Vec<Target> {
    if target.indexes.len() <= BATCH_DELIVERIES {
        return vec![target];
    }
    let piece = |indexes: &[u32]| Target { indexes: indexes.to_vec(), ..target.clone() };
    target.indexes.chunks(BATCH_DELIVERIES).map(piece).collect()
}

/// Groups records into journal entries of at most a block each. The journal never splits an entry.
pub(super) fn entries(records: Vec<Record>) -> Vec<Vec<Record>> {
    let (mut entries, mut entry, mut bytes) = (Vec::new(), Vec::new(), 0);
    for record in records {
        let more = record.encoded_len();
        if bytes + more > BLOCK_BYTES && !entry.is_empty() {
            entries.push(std::mem::take(&mut entry));
            bytes = 0;
        }
        bytes += more;
        entry.push(record);
    }
    entries.push(entry);
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block of which so many destinations get so many events each.
    fn matched(destinations: usize, indexes: u32) -> Matched {
        let name = |number| format!("{number:0>64}");
        let target =
            |number| Target { destination: name(number), source: name(0), indexes: (0..indexes).collect() };
        let targets = (0..destinations).map(target).collect();
        Matched { log_sequence: 7, config_revision: 3, targets, ..Matched::default() }
    }

    fn deliveries(parts: &[Matched]) -> Vec<(String, u32)> {
        let targets = parts.iter().flat_map(|part| &part.targets);
        let named = |target: &Target| {
            let destination = target.destination.clone();
            target.indexes.clone().into_iter().map(move |index| (destination.clone(), index))
        };
        targets.flat_map(named).collect()
    }

    #[test]
    fn a_large_match_is_split_into_bounded_records_and_loses_nothing() {
        for (destinations, indexes) in [(10_000, 3), (3, 10_000), (1, 1), (0, 0)] {
            let whole = matched(destinations, indexes);
            let parts = split(whole.clone());
            assert_eq!(deliveries(&parts), deliveries(&[whole]));
            let (last, others) = parts.split_last().unwrap();
            assert!(!last.more && others.iter().all(|part| part.more), "{destinations}");
            for part in &parts {
                let deliveries: usize = part.targets.iter().map(|target| target.indexes.len()).sum();
                assert!(deliveries <= BATCH_DELIVERIES && part.encoded_len() < BLOCK_BYTES);
                assert_eq!((part.log_sequence, part.config_revision), (7, 3));
            }
        }
    }

    #[test]
    fn the_entries_of_a_batch_take_a_block_at_most() {
        let mut batch = Batch::default();
        batch.push(matched(10_000, 300));
        let records = batch.records.len();
        let entries = entries(batch.records);
        assert_eq!(entries.iter().map(Vec::len).sum::<usize>(), records);
        for entry in &entries {
            let bytes: usize = entry.iter().map(Record::encoded_len).sum();
            assert!((1..=BLOCK_BYTES).contains(&bytes), "{bytes}");
        }
    }
}
