use floodgate_event::proto::event::Disposition;
use floodgate_event::proto::log_block::Content;
use floodgate_event::proto::{Entry, Event, Filtered, LogBlock, Quarantined, Replica, Verdict};

use super::*;
use crate::dedup::ledger::Ledger;

const ALL: Bounds = Bounds { rows: 100, looks: 100 };

fn entry(id: u8, kind: Kind) -> Entry {
    let disposition = match kind {
        Kind::Quarantined => Some(Disposition::Quarantined(Quarantined {
            handler: "redact".into(),
            kind: "trap".into(),
            ..Quarantined::default()
        })),
        Kind::Filtered => Some(Disposition::Filtered(Filtered::default())),
        _ => None,
    };
    let source = if id.is_multiple_of(2) { "even" } else { "odd" };
    let event = Event { id: vec![id; 16], source: source.into(), disposition, ..Event::default() };
    let verdict = Verdict { kind: kind.into(), event_id: vec![id; 16], ..Verdict::default() };
    Entry { verdict: Some(verdict), event: (kind != Kind::Duplicate).then_some(event) }
}

fn block(at: u64, entries: &[(u8, Kind)]) -> LogBlock {
    let entries = entries.iter().map(|&(id, kind)| entry(id, kind)).collect();
    let content = Some(Content::Replica(Replica { entries, ..Replica::default() }));
    LogBlock { version: 1, appended_at_us: at, content, ..LogBlock::default() }
}

/// A ledger with these blocks folded, appended a microsecond apart.
fn folded(folder: &std::path::Path, blocks: &[&[(u8, Kind)]]) -> Ledger {
    let ledger = Ledger::open(folder).unwrap();
    fold(&ledger, blocks);
    ledger
}

fn fold(ledger: &Ledger, blocks: &[&[(u8, Kind)]]) {
    for (at, entries) in (1..).zip(blocks) {
        ledger.apply(at, b"payload", &block(at, entries)).unwrap();
    }
}

fn newest(ledger: &Ledger) -> Vec<u8> {
    ids(&ledger.quarantine().newest(None, ALL, |_| true).unwrap())
}

fn ids(page: &Page) -> Vec<u8> {
    page.rows.iter().map(|(key, _)| key.id.as_bytes()[0]).collect()
}

#[test]
fn a_handled_copy_takes_an_event_out_and_a_duplicate_says_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folded(
        folder.path(),
        &[
            &[(1, Kind::Quarantined), (2, Kind::Quarantined), (3, Kind::Quarantined), (4, Kind::Stored)],
            &[(1, Kind::Stored), (2, Kind::Filtered), (3, Kind::Duplicate)],
        ],
    );
    assert_eq!(newest(&ledger), [3]);
    assert_eq!(ledger.quarantine().get(EventId::from([1; 16])).unwrap(), None);
    let (_, row) = ledger.quarantine().get(EventId::from([3; 16])).unwrap().unwrap();
    assert_eq!((row.position, row.kind.as_str()), (Position { sequence: 1, index: 2 }, "trap"));
}

#[test]
fn of_two_quarantined_copies_the_last_is_listed_also_within_a_block() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folded(
        folder.path(),
        &[
            &[(1, Kind::Quarantined), (1, Kind::Quarantined), (2, Kind::Quarantined), (2, Kind::Stored)],
            &[(3, Kind::Quarantined)],
            &[(1, Kind::Quarantined)],
        ],
    );
    assert_eq!(newest(&ledger), [1, 3]);
    let (key, row) = ledger.quarantine().get(EventId::from([1; 16])).unwrap().unwrap();
    assert_eq!((key.appended_at_us, row.position.sequence), (3, 3));
}

#[test]
fn pages_join_without_gap_or_overlap_in_both_directions() {
    let folder = tempfile::tempdir().unwrap();
    let all: Vec<Vec<(u8, Kind)>> =
        (0..10).map(|n| vec![(2 * n, Kind::Quarantined), (2 * n + 1, Kind::Quarantined)]).collect();
    let all: Vec<&[_]> = all.iter().map(Vec::as_slice).collect();
    let ledger = folded(folder.path(), &all);
    let index = ledger.quarantine();

    for bounds in [Bounds { rows: 3, looks: 100 }, Bounds { rows: 100, looks: 3 }] {
        let (mut down, mut up) = (Vec::new(), Vec::new());
        let mut next = None;
        loop {
            let page = index.newest(next, bounds, |row| row.source == "odd").unwrap();
            down.extend(ids(&page));
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        loop {
            let page = index.oldest(next, bounds, |row| row.source == "odd").unwrap();
            up.extend(ids(&page));
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(down, [19, 17, 15, 13, 11, 9, 7, 5, 3, 1]);
        up.reverse();
        assert_eq!(up, down);
    }
}

#[test]
fn it_outlives_the_process_and_is_wiped_and_folded_anew_with_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let blocks: &[&[(u8, Kind)]] = &[&[(1, Kind::Quarantined), (2, Kind::Quarantined)], &[(1, Kind::Stored)]];
    drop(folded(folder.path(), blocks));
    let ledger = Ledger::open(folder.path()).unwrap();
    assert_eq!(newest(&ledger), [2]);
    ledger.wipe().unwrap();
    assert_eq!(newest(&ledger), [0; 0]);
    fold(&ledger, blocks);
    assert_eq!(newest(&ledger), [2]);
}

#[test]
fn a_ledger_of_an_earlier_form_is_emptied_when_it_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folded(folder.path(), &[&[(1, Kind::Quarantined), (2, Kind::Stored)]]);
    ledger.forget_form().unwrap();
    drop(ledger);
    let ledger = Ledger::open(folder.path()).unwrap();
    assert_eq!((ledger.cut().checkpoint, newest(&ledger)), (None, Vec::new()));
    assert_eq!(ledger.find(EventId::from([2; 16])).unwrap(), None);
}
