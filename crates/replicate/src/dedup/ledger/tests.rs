use floodgate_event::proto::{Event, Fence, Forget, Verdict};

use super::*;

const DAY_US: u64 = 86_400_000_000;

struct Log {
    ledger: Ledger,
    sequence: u64,
    folder: tempfile::TempDir,
}

impl Log {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { ledger: Ledger::open(folder.path()).unwrap(), sequence: 0, folder }
    }

    /// The same, from what is on the disk.
    fn reopened(self) -> Self {
        let Self { ledger, sequence, folder } = self;
        drop(ledger);
        Self { ledger: Ledger::open(folder.path()).unwrap(), sequence, folder }
    }

    fn append(&mut self, day: u64, content: Content) {
        self.sequence += 1;
        let block = LogBlock { appended_at_us: day * DAY_US, content: Some(content), ..LogBlock::default() };
        self.ledger.apply(self.sequence, b"payload", &block).unwrap();
    }

    fn store(&mut self, day: u64, id: u8) {
        self.replicate(day, &[(id, Kind::Stored)]);
    }

    /// Appends one block with these copies, in this order.
    fn replicate(&mut self, day: u64, copies: &[(u8, Kind)]) {
        let entry = |&(id, kind): &(u8, Kind)| {
            let mut verdict = Verdict { event_id: vec![id; 16], ..Verdict::default() };
            verdict.set_kind(kind);
            proto::Entry { verdict: Some(verdict), event: Some(Event::default()) }
        };
        let entries = copies.iter().map(entry).collect();
        self.append(day, Content::Replica(Replica { entries, ..Replica::default() }));
    }

    fn forget(&mut self, day: u64, before_day: u32) {
        self.append(day, Content::Forget(Forget { before_day }));
    }

    fn known(&self) -> Vec<u8> {
        (0..10).filter(|&id| self.ledger.find(EventId::from([id; 16])).unwrap().is_some()).collect()
    }
}

/// The provider's next try came within the block in which a handler failed on the first.
#[test]
fn the_last_copy_in_a_block_says_whether_its_id_is_claimed() {
    let mut log = Log::new();
    for id in 0..10 {
        log.replicate(100, &[(id, Kind::Quarantined), (id, Kind::Filtered), (id, Kind::Stored)]);
    }
    let claims = |log: &Log| {
        let known = |id| log.ledger.find(EventId::from([id; 16])).unwrap().unwrap();
        (0..10).all(|id| known(id).claims && known(id).position.index == 2)
    };
    assert!(claims(&log));
    assert!(claims(&log.reopened()));
}

#[test]
fn days_go_when_the_log_says_so() {
    let mut log = Log::new();
    (0..5).for_each(|id| log.store(100 + u64::from(id), id));
    assert!(!log.ledger.has_before(100) && log.ledger.has_before(101));
    log.forget(104, 102);
    assert_eq!(log.known(), [2, 3, 4]);
    let log = log.reopened();
    assert_eq!((log.known(), log.ledger.days()), (vec![2, 3, 4], 3));
}

#[test]
fn a_day_that_is_ahead_goes_with_the_day_on_which_that_was_noticed() {
    let mut log = Log::new();
    log.store(100, 0);
    log.store(900, 1);
    // The first block after the log's time went back need not hold events.
    log.append(101, Content::Fence(Fence::default()));
    log.store(103, 3);
    let mut log = log.reopened();
    log.forget(104, 101);
    assert_eq!(log.known(), [1, 3]);
    log.forget(104, 102);
    assert_eq!(log.known(), [3]);
    assert_eq!(log.reopened().ledger.days(), 1);
}

#[test]
fn a_day_that_was_ahead_and_is_reached_keeps_its_ids_like_any_other() {
    let mut log = Log::new();
    log.store(109, 1);
    log.store(100, 0);
    log.store(109, 2);
    log.forget(110, 109);
    assert_eq!(log.known(), [1, 2]);
    let mut log = log.reopened();
    log.forget(110, 110);
    assert!(log.known().is_empty());
}

/// The note that a crash leaves behind would drop the day too early, once its date has come.
#[test]
fn a_day_that_was_dropped_while_it_was_ahead_is_kept_like_any_other_once_it_is_reached() {
    let mut log = Log::new();
    log.store(109, 1);
    log.store(100, 0);
    let note = log.ledger.meta.get("ahead/109").unwrap().unwrap();
    log.forget(101, 101);
    assert_eq!((log.known(), log.ledger.meta.get("ahead/109").unwrap()), (vec![], None));
    log.ledger.meta.insert("ahead/109", note).unwrap();
    let mut log = log.reopened();
    log.store(109, 2);
    let mut log = log.reopened();
    log.forget(109, 102);
    assert_eq!(log.known(), [2]);
    log.forget(110, 110);
    assert!(log.known().is_empty());
}

#[test]
fn an_emptied_ledger_forgets_which_days_were_ahead() {
    let mut log = Log::new();
    log.store(109, 1);
    log.store(100, 0);
    log.ledger.wipe().unwrap();
    log.store(109, 1);
    log.forget(109, 105);
    assert_eq!(log.known(), [1]);
    assert_eq!(log.reopened().known(), [1]);
}
