//! Reading one lane of the log, and deciding who gets each event.
//!
//! What was matched is journaled before anything is delivered, together with the cursor. After a crash the reader
//! begins behind the last block that was journaled, so no event is passed over and none is matched twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use floodgate_event::proto::{self, Matched, MatchedEvents, Record, SourceCount, Target, record};
use floodgate_event::{Lane, subject};
use futures::FutureExt as _;
use prost::Message as _;
use tokio::sync::watch;

use super::journal::{BLOCK_BYTES, Journal, JournalClosed};
use super::log::{Log, Stored};
use super::metrics::ForwardMetrics;
use crate::destination::Routes;
use crate::reader::{ReadMessage, StreamReader};

/// Deliveries after which a batch is journaled.
const BATCH_DELIVERIES: usize = 4096;
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
        self.deliveries += matched.targets.iter().map(|target| target.indexes.len()).sum::<usize>();
        let record = Record { record: Some(record::Record::Matched(matched)) };
        self.bytes += record.encoded_len();
        self.records.push(record);
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
        let last = matched.clone().last().map(|matched| matched.log_sequence);
        let unmatched: Vec<SourceCount> = matched
            .filter_map(|matched| matched.events.as_ref())
            .flat_map(|events| events.unmatched.iter().cloned())
            .collect();
        self.journal.record(batch.records).await?;
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
        Matched { log_sequence, lane, config_revision, targets, events: None }
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
