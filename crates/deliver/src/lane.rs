//! Reading one lane of the log, and deciding who gets each event.
//!
//! What was matched is journaled before anything is delivered, together with the cursor.
//! After a crash the reader begins behind the last block that was journaled, so no event is passed
//! over and none is matched twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use floodgate_event::proto::{self, Matched, MatchedEvents, Record, SourceCount, Target, record};
use floodgate_event::{Lane, subject};
use floodgate_routes::Routes;
use floodgate_stream::reader::{ReadMessage, StreamReader};
use futures::FutureExt as _;
use prost::Message as _;
use tokio::sync::watch;

use super::journal::{BLOCK_BYTES, Journal, JournalClosed};
use super::log::{Log, Stored};
use super::metrics::ForwardMetrics;

/// Deliveries after which a batch is journaled, and that one record names at most.
const BATCH_DELIVERIES: usize = 4096;
/// Bytes of one record's targets at most. A block can match thousands of destinations, and a message of the
/// journal must stay below what the server takes, 8 MiB.
const RECORD_BYTES: usize = BLOCK_BYTES / 2;
/// Blocks that nobody gets may go by without a record, up to this many.
const MAX_UNRECORDED: u64 = 256;
/// Or for this long.
const IDLE: Duration = Duration::from_secs(1);

/// Reads a lane.
pub(super) struct LaneReader {
    pub(super) lane: Lane,
    pub(super) shard: u32,
    pub(super) reader: StreamReader,
    pub(super) routes: watch::Receiver<Arc<Routes>>,
    pub(super) journal: Journal,
    pub(super) log: Arc<Log>,
    pub(super) metrics: ForwardMetrics,
}

/// What is journaled next.
#[derive(Default)]
struct Batch {
    records: Vec<Record>,
    bytes: usize,
    deliveries: usize,
    /// The last block, if nobody gets anything of it.
    passed: Option<u64>,
    /// Blocks that nobody gets since the last record.
    unrecorded: u64,
    /// What became of events since the last record.
    events: Events,
}

/// Stored events by source, each counted once however many destinations get it.
#[derive(Default)]
struct Events {
    routed: BTreeMap<String, u64>,
    unmatched: BTreeMap<String, u64>,
}

impl Events {
    fn count(&mut self, source: &str, is_matched: bool) {
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
    fn has_room(&self) -> bool {
        self.bytes < BLOCK_BYTES / 2 && self.deliveries < BATCH_DELIVERIES && self.unrecorded < MAX_UNRECORDED
    }

    fn pass(&mut self, sequence: u64) {
        self.passed = Some(sequence);
        self.unrecorded += 1;
    }

    fn push(&mut self, matched: Matched) {
        let matched = Matched { events: Some(self.events.take()), ..matched };
        self.passed = None;
        self.unrecorded = 0;
        for part in parts(matched) {
            self.deliveries += part.targets.iter().map(|target| target.indexes.len()).sum::<usize>();
            let record = Record { record: Some(record::Record::Matched(part)) };
            self.bytes += record.encoded_len();
            self.records.push(record);
        }
    }

    /// Whether to move the cursor although nobody gets anything.
    fn is_worth_a_record(&self, idle: bool) -> bool {
        self.passed.is_some() && (idle || !self.records.is_empty() || self.unrecorded >= MAX_UNRECORDED)
    }
}

impl LaneReader {
    /// Reads until it is dropped, or nothing can be journaled any more.
    pub(super) async fn run(mut self) -> Result<(), JournalClosed> {
        let mut batch = Batch::default();
        loop {
            let idle = self.gather(&mut batch).await;
            if batch.is_worth_a_record(idle)
                && let Some(sequence) = batch.passed
            {
                batch.push(self.matched(sequence, Vec::new()));
            }
            if !batch.records.is_empty() {
                self.record(std::mem::take(&mut batch)).await?;
            }
        }
    }

    /// Waits for a block, then takes what is there besides. True if none came for a while.
    async fn gather(&mut self, batch: &mut Batch) -> bool {
        let message = tokio::select! {
            message = self.reader.next() => message,
            () = tokio::time::sleep(IDLE), if batch.passed.is_some() => return true,
        };
        self.route(message, batch);
        while batch.has_room()
            && let Some(message) = self.reader.next().now_or_never()
        {
            self.route(message, batch);
        }
        false
    }

    async fn record(&self, batch: Batch) -> Result<(), JournalClosed> {
        let matched = batch.records.iter().filter_map(|record| match &record.record {
            Some(record::Record::Matched(matched)) => Some(matched),
            _ => None,
        });
        let last = matched.clone().next_back().map(|matched| matched.log_sequence);
        let unmatched: Vec<SourceCount> = matched
            .filter_map(|matched| matched.events.as_ref())
            .flat_map(|events| events.unmatched.iter().cloned())
            .collect();
        for entry in entries(batch.records) {
            self.journal.record(entry).await?;
        }
        for SourceCount { source, count } in unmatched {
            self.metrics.unmatched.with_label_values(&[&source]).inc_by(count);
        }
        if let Some(last) = last {
            self.metrics.routed_through(self.shard, self.lane, last);
        }
        Ok(())
    }

    fn route(&self, message: ReadMessage, batch: &mut Batch) {
        let ReadMessage { sequence, payload, .. } = message;
        let stored = match Stored::decode(payload) {
            Ok(stored) => Arc::new(stored),
            Err(error) => {
                let stream = subject::log_stream(self.shard);
                tracing::error!(stream, sequence, %error, "a log block cannot be decoded and is passed over");
                self.metrics.undecodable.with_label_values(&[&stream]).inc();
                return batch.pass(sequence);
            }
        };
        let (revision, targets) = {
            let routes = self.routes.borrow();
            (routes.revision, targets(&routes, &stored, &mut batch.events))
        };
        if targets.is_empty() {
            return batch.pass(sequence);
        }
        self.log.keep(sequence, stored);
        batch.push(Matched { config_revision: revision, ..self.matched(sequence, targets) });
    }

    fn matched(&self, log_sequence: u64, targets: Vec<Target>) -> Matched {
        let config_revision = self.routes.borrow().revision;
        let lane = proto::Lane::from(self.lane).into();
        Matched { log_sequence, lane, config_revision, targets, events: None, more: false }
    }
}

/// Who gets what of a block; counts its events.
fn targets(routes: &Routes, stored: &Stored, events: &mut Events) -> Vec<Target> {
    let mut indexes: BTreeMap<(&str, &str), Vec<u32>> = BTreeMap::new();
    for (index, event) in stored.iter() {
        let mut is_matched = false;
        for destination in routes.matching(&event.source, &event.r#type) {
            indexes.entry((destination.name.as_str(), &event.source)).or_default().push(index);
            is_matched = true;
        }
        events.count(&event.source, is_matched);
    }
    let target = |((destination, source), indexes): ((&str, &str), _)| Target {
        destination: destination.to_owned(),
        source: source.to_owned(),
        indexes,
    };
    indexes.into_iter().map(target).collect()
}

/// Cuts what was matched of a block into records of a bounded size.
/// All but the last say that there is more to come.
fn parts(matched: Matched) -> Vec<Matched> {
    let Matched { log_sequence, lane, config_revision, events, .. } = matched;
    let part = |targets| Matched { log_sequence, lane, config_revision, targets, events: None, more: true };
    let (mut parts, mut targets) = (Vec::new(), Vec::new());
    let (mut deliveries, mut bytes) = (0, 0);
    for target in matched.targets.into_iter().flat_map(pieces) {
        let (more_deliveries, more_bytes) = (target.indexes.len(), target.encoded_len());
        let full = deliveries + more_deliveries > BATCH_DELIVERIES || bytes + more_bytes > RECORD_BYTES;
        if full && !targets.is_empty() {
            parts.push(part(std::mem::take(&mut targets)));
            (deliveries, bytes) = (0, 0);
        }
        targets.push(target);
        (deliveries, bytes) = (deliveries + more_deliveries, bytes + more_bytes);
    }
    // What became of the events is counted once, with the part that moves the cursor.
    parts.push(Matched { events, more: false, ..part(targets) });
    parts
}

/// A target, cut so that each piece fits into a record.
fn pieces(target: Target) -> Vec<Target> {
    if target.indexes.len() <= BATCH_DELIVERIES {
        return vec![target];
    }
    let piece = |indexes: &[u32]| Target { indexes: indexes.to_vec(), ..target.clone() };
    target.indexes.chunks(BATCH_DELIVERIES).map(piece).collect()
}

/// Groups records into journal entries, which are never cut, of at most a block each.
fn entries(records: Vec<Record>) -> Vec<Vec<Record>> {
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

    /// What one event of each of many sources, and many events of one source, match.
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
    fn a_record_is_cut_to_a_bounded_size_and_loses_nothing() {
        for (destinations, indexes) in [(10_000, 3), (3, 10_000), (1, 1), (0, 0)] {
            let whole = matched(destinations, indexes);
            let parts = parts(whole.clone());
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
    fn a_batch_is_journaled_in_entries_of_a_block_each() {
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
