//! Gives each event of a block its verdict.

use std::collections::HashMap;
use std::sync::Arc;

use floodgate_event::proto::event::Disposition;
use floodgate_event::proto::log_block::Content as LogContent;
use floodgate_event::proto::verdict::Kind;
use floodgate_event::proto::{Block, Entry, Event, LogBlock, Replica, SetAside, Verdict};
use floodgate_event::tally::{Tallies, Tally};
use floodgate_event::{EventId, Lane, Name};

use super::ledger::{self, Ledger, LedgerError};
use super::value::{Position, SeenEvent};
use crate::stage::{Content, Origin, Replicated};

/// A block with its verdicts, ready for the writer to append. Only [`Deduplicator::claim`] builds one.
#[derive(Debug)]
pub struct Claimed {
    origin: Origin,
    replica: Replica,
    tallies: Tallies,
}

impl Claimed {
    /// The regional message that the block came in.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The lane that the block came through. It is appended under that lane's subject.
    pub fn lane(&self) -> Lane {
        self.origin.feed.lane
    }

    /// The verdicts, counted by source.
    pub fn tallies(&self) -> &Tallies {
        &self.tallies
    }

    /// What the appended block will hold.
    pub fn into_replica(self) -> Replica {
        self.replica
    }
}

/// Decides by the ledger and by the appends in flight, because the ledger learns of an event only once its
/// append is on disk.
pub struct Deduplicator {
    ledger: Arc<Ledger>,
    /// What the appends in flight say about ids: the latest for each id.
    pending: HashMap<EventId, SeenEvent>,
}

impl Deduplicator {
    /// Makes a deduplicator without appends in flight.
    pub fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger, pending: HashMap::new() }
    }

    /// Gives each event its verdict. `sequence` is the sequence that the block will have in the log. Blocks
    /// must be claimed in the order in which they are appended.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn claim(&mut self, replicated: Replicated, sequence: u64) -> Result<Claimed, LedgerError> {
        let Replicated { origin, content } = replicated;
        let mut replica = Replica { origin: Some((&origin).into()), ..Replica::default() };
        let tallies = match content {
            Content::SetAside(set_aside) => {
                let tallies = tally_set_aside(&set_aside);
                replica.set_aside = Some(set_aside);
                tallies
            }
            Content::Block(block) => {
                replica.block_id = block.id.clone();
                replica.gateway = block.gateway.clone();
                replica.sealed_at_us = block.sealed_at_us;
                replica.entries = self.judge_block(block, sequence)?;
                tally(&replica.entries)
            }
        };
        Ok(Claimed { origin, replica, tallies })
    }

    fn judge_block(&mut self, block: Block, sequence: u64) -> Result<Vec<Entry>, LedgerError> {
        let mut entries = Vec::with_capacity(block.events.len());
        // The last split parent and its verdict, which its children share.
        let mut parent: Option<(EventId, Option<SeenEvent>)> = None;
        for (index, event) in block.events.into_iter().enumerate() {
            // The format was checked when the block was read.
            let Ok(id) = EventId::try_from(&*event.id) else { continue };
            let follows =
                event.parent.as_ref().and_then(|of| parent.filter(|(id, _)| of.id == id.as_bytes()));
            let claimed_by = match follows {
                Some((_, verdict)) => verdict,
                None => self.find(id)?.filter(|known| known.claims),
            };
            if ledger::is_split_parent(&event) {
                parent = Some((id, claimed_by));
            }
            let entry = judge(event, id, claimed_by);
            if let (Some(event), Some(verdict)) = (&entry.event, &entry.verdict) {
                let position = Position { sequence, index: u32::try_from(index).unwrap_or(u32::MAX) };
                self.pending.insert(id, SeenEvent::new(event, position, ledger::claims(verdict, event)));
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    /// Records in the ledger that the log message at `sequence` is on disk.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn settled(&mut self, sequence: u64, payload: &[u8], block: &LogBlock) -> Result<(), LedgerError> {
        self.ledger.apply(sequence, payload, block)?;
        let Some(LogContent::Replica(replica)) = &block.content else { return Ok(()) };
        for verdict in replica.entries.iter().filter_map(|entry| entry.verdict.as_ref()) {
            let Ok(id) = EventId::try_from(&*verdict.event_id) else { continue };
            // A later block may already say something newer about this id.
            let is_of_this = |known: &SeenEvent| known.position.sequence == sequence;
            if self.pending.get(&id).is_some_and(is_of_this) {
                self.pending.remove(&id);
            }
        }
        Ok(())
    }

    fn find(&self, id: EventId) -> Result<Option<SeenEvent>, LedgerError> {
        match self.pending.get(&id) {
            Some(known) if known.claims => Ok(Some(*known)),
            _ => self.ledger.find(id),
        }
    }
}

/// Gives one event its verdict. `claimed_by` is the stored copy of the same id, or of the same parent, if
/// there is one.
fn judge(event: Event, id: EventId, claimed_by: Option<SeenEvent>) -> Entry {
    let mut verdict =
        Verdict { event_id: id.as_bytes().to_vec(), source: event.source.clone(), ..Verdict::default() };
    let Some(stored) = claimed_by else {
        verdict.set_kind(kind_of(&event));
        return Entry { verdict: Some(verdict), event: Some(event) };
    };
    verdict.set_kind(Kind::Duplicate);
    verdict.duplicate_of = Some(stored.position.into());
    verdict.body_differs = event.parent.is_none() && stored.by_id && event.body_hash != stored.body_hash;
    if verdict.body_differs && !stored.sampled {
        verdict.sample = Some(event);
    }
    Entry { verdict: Some(verdict), event: None }
}

fn kind_of(event: &Event) -> Kind {
    match &event.disposition {
        None => Kind::Stored,
        Some(Disposition::Filtered(_)) => Kind::Filtered,
        Some(Disposition::Responded(_)) => Kind::Responded,
        Some(Disposition::Quarantined(_)) => Kind::Quarantined,
    }
}

fn tally(entries: &[Entry]) -> Tallies {
    let mut tallies = Tallies::default();
    for verdict in entries.iter().filter_map(|entry| entry.verdict.as_ref()) {
        tallies.of(&source_name(&verdict.source)).count(verdict.kind());
    }
    tallies
}

fn tally_set_aside(set_aside: &SetAside) -> Tallies {
    let mut tallies = Tallies::default();
    for events in &set_aside.events {
        *tallies.of(&source_name(&events.source)) += Tally { set_aside: events.count, ..Tally::default() };
    }
    tallies
}

/// The name to count an event under. A gateway only writes valid names. Anything else is counted under
/// `source::unnamed`.
fn source_name(text: &str) -> Name {
    text.parse().unwrap_or_else(|_| floodgate_event::source::unnamed())
}

#[cfg(test)]
mod tests {
    use floodgate_event::proto::{self, Filtered, HandlerRun, KeyKind, Parent, Request};

    use super::*;
    use crate::cursor::RegionLane;

    struct Bench {
        deduplicator: Deduplicator,
        ledger: Arc<Ledger>,
        sequence: u64,
        _folder: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let ledger = Arc::new(Ledger::open(folder.path()).unwrap());
            let deduplicator = Deduplicator::new(Arc::clone(&ledger));
            Self { deduplicator, ledger, sequence: 0, _folder: folder }
        }

        fn claim(&mut self, events: Vec<Event>) -> (Vec<Kind>, Replica) {
            self.sequence += 1;
            let origin = Origin {
                feed: RegionLane { region: "eu".into(), lane: Lane::Standard },
                incarnation: "a".into(),
                sequence: self.sequence,
            };
            let block = Block { version: 1, id: vec![0; 16], lane: 2, events, ..Block::default() };
            let replicated = Replicated { origin, content: Content::Block(block) };
            let replica = self.deduplicator.claim(replicated, self.sequence).unwrap().into_replica();
            let kinds = replica.entries.iter().map(|entry| entry.verdict.as_ref().unwrap().kind()).collect();
            (kinds, replica)
        }

        fn settle(&mut self, replica: Replica) {
            let content = Some(proto::log_block::Content::Replica(replica));
            let block = LogBlock { version: 1, content, appended_at_us: 1, ..LogBlock::default() };
            self.deduplicator.settled(self.sequence, b"payload", &block).unwrap();
        }
    }

    fn event(id: u8, body: u8) -> Event {
        Event {
            id: vec![id; 16],
            key_kind: KeyKind::Id.into(),
            source: "stripe".into(),
            body_hash: vec![body; 16],
            request: Some(Request::default()),
            ..Event::default()
        }
    }

    fn quarantined(id: u8) -> Event {
        Event { disposition: Some(Disposition::Quarantined(proto::Quarantined::default())), ..event(id, 0) }
    }

    #[test]
    fn a_second_copy_is_a_duplicate_before_and_after_the_ledger_knows() {
        let mut bench = Bench::new();
        let (kinds, first) = bench.claim(vec![event(1, 0), event(1, 0), event(2, 0)]);
        assert_eq!(kinds, [Kind::Stored, Kind::Duplicate, Kind::Stored]);
        assert_eq!(bench.ledger.find(EventId::from([1; 16])).unwrap(), None, "not before the ack");
        let (kinds, second) = bench.claim(vec![event(2, 0)]);
        assert_eq!(kinds, [Kind::Duplicate]);
        bench.sequence = 1;
        bench.settle(first);
        bench.sequence = 2;
        bench.settle(second);
        let (kinds, replica) = bench.claim(vec![event(1, 0)]);
        assert_eq!(kinds, [Kind::Duplicate]);
        let position = replica.entries[0].verdict.as_ref().unwrap().duplicate_of.unwrap();
        assert_eq!((position.sequence, position.index), (1, 0));
    }

    #[test]
    fn another_body_under_the_same_id_is_flagged_and_sampled_once() {
        let mut bench = Bench::new();
        let (_, replica) = bench.claim(vec![event(1, 0)]);
        bench.settle(replica);
        let (_, replica) = bench.claim(vec![event(1, 9)]);
        let verdict = replica.entries[0].verdict.clone().unwrap();
        assert!(verdict.body_differs && verdict.sample.is_some());
        bench.settle(replica);
        let (_, replica) = bench.claim(vec![event(1, 9)]);
        let verdict = replica.entries[0].verdict.clone().unwrap();
        assert!(verdict.body_differs && verdict.sample.is_none());
    }

    #[test]
    fn a_stored_copy_resolves_a_quarantined_one() {
        let mut bench = Bench::new();
        let (kinds, replica) = bench.claim(vec![quarantined(1)]);
        assert_eq!(kinds, [Kind::Quarantined]);
        bench.settle(replica);
        let (kinds, replica) = bench.claim(vec![event(1, 0)]);
        assert_eq!(kinds, [Kind::Stored]);
        bench.settle(replica);
        assert_eq!(bench.claim(vec![quarantined(1)]).0, [Kind::Duplicate]);
    }

    #[test]
    fn a_splits_children_share_their_parents_verdict() {
        let parent = |body| Event {
            disposition: Some(Disposition::Filtered(Filtered::default())),
            handlers: vec![HandlerRun { outcome: "split".into(), ..HandlerRun::default() }],
            ..event(1, body)
        };
        let child = |id| Event {
            parent: Some(Parent { id: vec![1; 16], ..Parent::default() }),
            key_kind: KeyKind::Child.into(),
            ..event(id, 0)
        };
        let mut bench = Bench::new();
        let (kinds, replica) = bench.claim(vec![parent(0), child(2), child(3)]);
        assert_eq!(kinds, [Kind::Filtered, Kind::Stored, Kind::Stored]);
        bench.settle(replica);
        // Another handler version made other children of it.
        let (kinds, _) = bench.claim(vec![parent(0), child(4), child(5)]);
        assert_eq!(kinds, [Kind::Duplicate; 3]);
    }
}
