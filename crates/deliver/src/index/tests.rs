//! A fixture of an index with a journal of its own, and the records to fold.

mod answers;
mod folding;
mod queues;
mod rebuilding;

use floodgate_event::deliveries::{LaneRouting, Totals};
use floodgate_event::proto::attempt::Outcome;
use floodgate_event::proto::{self, Attempt, Matched, MatchedEvents, Record, SourceCount, Target, record};
use floodgate_event::{Lane, ShardId};
use tempfile::TempDir;

use super::{Backlog, DeliveryId, DeliveryIndex, JournalMessage, Queue, Scan};

struct Fixture {
    index: DeliveryIndex,
    folder: TempDir,
    sequence: u64,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { index: DeliveryIndex::open(folder.path(), ShardId::FIRST).unwrap(), folder, sequence: 0 }
    }

    fn reopen(self) -> Self {
        let Self { index, folder, sequence } = self;
        drop(index);
        Self { index: DeliveryIndex::open(folder.path(), ShardId::FIRST).unwrap(), folder, sequence }
    }

    fn apply(&mut self, records: Vec<record::Record>) {
        self.sequence += 1;
        let records = records.into_iter().map(|record| Record { record: Some(record) }).collect();
        self.index.apply(&JournalMessage { sequence: self.sequence, digest: [0; 32], records }).unwrap();
    }

    fn totals(&self) -> Totals {
        let books = self.index.totals().unwrap();
        assert_eq!(books.cut, self.sequence);
        let Totals { matched, delivered, dead, discarded, pending } = books.all;
        assert_eq!(matched, delivered + dead + discarded + pending);
        // Dead deliveries of the lost part of a log stay in the books, but are no dead letters.
        let dead = self.index.dead_letters(DeliveryIndex::MAX_PAGE, None).unwrap().items.len() as u64;
        assert_eq!(self.index.backlog(&"shop".parse().unwrap()), Backlog { open: pending, dead });
        books.all
    }

    fn routing(&self, lane: Lane) -> LaneRouting {
        self.index.totals().unwrap().lanes.remove(&lane).unwrap()
    }

    fn due(&self, queue: Queue, until_us: u64) -> Vec<(u64, u32, u32)> {
        let scan = Scan { queue, after: None, until_us, limit: 100 };
        let page = self.index.due(&"shop".parse().unwrap(), scan).unwrap();
        page.deliveries
            .iter()
            .map(|queued| (queued.id.log_sequence, queued.id.index, queued.attempts))
            .collect()
    }
}

fn matched(log_sequence: u64, lane: Lane, indexes: &[u32]) -> record::Record {
    let target = Target { destination: "shop".into(), source: "stripe".into(), indexes: indexes.to_vec() };
    let lane = proto::Lane::from(lane).into();
    let targets = vec![target];
    record::Record::Matched(Matched { log_sequence, lane, config_revision: 1, targets, ..Matched::default() })
}

/// The same without deliveries, as a release writes it that counts events.
fn counted(log_sequence: u64, lane: Lane, routed: u64, unmatched: u64) -> record::Record {
    let counts = |count| vec![SourceCount { source: "stripe".into(), count }];
    let events = Some(MatchedEvents { routed: counts(routed), unmatched: counts(unmatched) });
    match matched(log_sequence, lane, &[]) {
        record::Record::Matched(matched) => record::Record::Matched(Matched { events, ..matched }),
        other => other,
    }
}

/// The same as [`matched`], for a part of a block that is not the last one.
fn part(log_sequence: u64, lane: Lane, indexes: &[u32]) -> record::Record {
    match matched(log_sequence, lane, indexes) {
        record::Record::Matched(matched) => record::Record::Matched(Matched { more: true, ..matched }),
        other => other,
    }
}

fn id(log_sequence: u64, index: u32) -> DeliveryId {
    DeliveryId { log_sequence, index, generation: 0, destination: "shop".parse().unwrap() }
}

fn attempt(log_sequence: u64, index: u32, number: u32, outcome: Outcome, next_us: u64) -> record::Record {
    record::Record::Attempt(Attempt {
        delivery: Some(id(log_sequence, index).to_proto()),
        number,
        outcome: outcome.into(),
        status: 500,
        response: format!("answer {number}").into_bytes(),
        next_attempt_at_us: next_us,
        ..Attempt::default()
    })
}
