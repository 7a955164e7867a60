//! Reads one lane of the log, and decides which destinations get each event.
//!
//! What was matched is recorded in the journal before anything is delivered, and the lane's cursor moves in
//! the same record. After a crash the reader starts after the last block that was recorded, so no event is
//! missed and none is matched twice.

mod batch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use floodgate_event::proto::{self, Matched, SourceCount, Target, record};
use floodgate_event::{Lane, ShardId, subject};
use floodgate_routes::Routes;
use floodgate_stream::reader::{ReadMessage, StreamReader};
use futures::FutureExt as _;
use tokio::sync::watch;

use super::events::{CentralLog, StoredBlock};
use super::journal::{Closed, Recorder};
use super::metrics::DeliveryMetrics;
use batch::{Batch, EventCounts};

/// How long the cursor may stay behind blocks that no destination gets, while no further block arrives.
const IDLE: Duration = Duration::from_secs(1);

/// Reads one lane of a shard's log and records what it matched.
pub(super) struct LaneReader {
    pub(super) lane: Lane,
    pub(super) shard: ShardId,
    pub(super) reader: StreamReader,
    pub(super) routes: watch::Receiver<Arc<Routes>>,
    pub(super) journal: Recorder,
    pub(super) log: Arc<CentralLog>,
    pub(super) metrics: DeliveryMetrics,
}

impl LaneReader {
    /// Reads until it is dropped.
    ///
    /// # Errors
    /// If nothing can be recorded any more.
    pub(super) async fn run(mut self) -> Result<(), Closed> {
        let mut batch = Batch::default();
        loop {
            let idle = self.gather(&mut batch).await;
            if batch.is_worth_a_record(idle)
                && let Some(sequence) = batch.unmatched_through
            {
                batch.push(self.matched(sequence, Vec::new()));
            }
            if !batch.records.is_empty() {
                self.record(std::mem::take(&mut batch)).await?;
            }
        }
    }

    /// Waits for a block, then takes those that have arrived as well. Returns true if no block arrived for a
    /// while.
    async fn gather(&mut self, batch: &mut Batch) -> bool {
        let message = tokio::select! {
            message = self.reader.next() => message,
            () = tokio::time::sleep(IDLE), if batch.unmatched_through.is_some() => return true,
        };
        self.match_block(message, batch);
        while batch.has_room()
            && let Some(message) = self.reader.next().now_or_never()
        {
            self.match_block(message, batch);
        }
        false
    }

    async fn record(&self, batch: Batch) -> Result<(), Closed> {
        let matched = batch.records.iter().filter_map(|record| match &record.record {
            Some(record::Record::Matched(matched)) => Some(matched),
            _ => None,
        });
        let last = matched.clone().next_back().map(|matched| matched.log_sequence);
        let unmatched: Vec<SourceCount> = matched
            .filter_map(|matched| matched.events.as_ref())
            .flat_map(|events| events.unmatched.iter().cloned())
            .collect();
        for entry in batch::entries(batch.records) {
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

    fn match_block(&self, message: ReadMessage, batch: &mut Batch) {
        let ReadMessage { sequence, payload, .. } = message;
        let stored = match StoredBlock::decode(payload) {
            Ok(stored) => Arc::new(stored),
            Err(error) => {
                let stream = subject::log_stream(self.shard);
                tracing::error!(stream, sequence, %error, "a log block cannot be decoded and is skipped");
                self.metrics.undecodable.with_label_values(&[&stream]).inc();
                return batch.skip(sequence);
            }
        };
        let (revision, targets) = {
            let routes = self.routes.borrow();
            (routes.revision, targets(&routes, &stored, &mut batch.counts))
        };
        if targets.is_empty() {
            return batch.skip(sequence);
        }
        self.log.cache(sequence, stored);
        batch.push(Matched { config_revision: revision, ..self.matched(sequence, targets) });
    }

    fn matched(&self, log_sequence: u64, targets: Vec<Target>) -> Matched {
        let config_revision = self.routes.borrow().revision;
        let lane = proto::Lane::from(self.lane).into();
        Matched { log_sequence, lane, config_revision, targets, events: None, more: false }
    }
}

/// Returns which destinations get which events of a block, and counts the events.
fn targets(routes: &Routes, stored: &StoredBlock, counts: &mut EventCounts) -> Vec<Target> {
    let mut indexes: BTreeMap<(&str, &str), Vec<u32>> = BTreeMap::new();
    for (index, event) in stored.iter() {
        let mut is_matched = false;
        for destination in routes.matching(&event.source, &event.r#type) {
            indexes.entry((destination.name.as_str(), &event.source)).or_default().push(index);
            is_matched = true;
        }
        counts.add(&event.source, is_matched);
    }
    let target = |((destination, source), indexes): ((&str, &str), _)| Target {
        destination: destination.to_owned(),
        source: source.to_owned(),
        indexes,
    };
    indexes.into_iter().map(target).collect()
}
