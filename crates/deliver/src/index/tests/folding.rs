//! What each record of the journal changes.

use std::collections::BTreeSet;

use floodgate_event::Lane;
use floodgate_event::deliveries::{LaneRouting, Routed, Totals};
use floodgate_event::proto::attempt::Outcome;
use floodgate_event::proto::{Discarded, record};

use super::super::Queue;
use super::{Fixture, attempt, counted, id, matched, part};

#[test]
fn every_delivery_is_counted_in_one_state() {
    let mut fixture = Fixture::new();
    fixture.apply(vec![matched(1, Lane::Standard, &[0, 1, 2, 3])]);
    fixture.apply(vec![
        attempt(1, 0, 1, Outcome::Delivered, 0),
        attempt(1, 1, 1, Outcome::Failed, 0),
        attempt(1, 2, 1, Outcome::Ambiguous, 50),
    ]);
    let discarded = Discarded { delivery: Some(id(1, 3).to_proto()), reason: "gone".into() };
    fixture.apply(vec![record::Record::Discarded(discarded)]);
    let expected = Totals { matched: 4, delivered: 1, dead: 1, discarded: 1, pending: 1 };
    assert_eq!(fixture.totals(), expected);
    assert_eq!(fixture.reopen().totals(), expected);
}

#[test]
fn an_attempt_counts_only_if_it_is_the_next_one() {
    let mut fixture = Fixture::new();
    fixture.apply(vec![matched(1, Lane::Standard, &[0])]);
    fixture.apply(vec![attempt(1, 0, 2, Outcome::Delivered, 0)]);
    assert_eq!(fixture.totals().pending, 1);
    fixture.apply(vec![attempt(1, 0, 1, Outcome::Failed, 50), attempt(1, 0, 1, Outcome::Delivered, 0)]);
    assert_eq!(fixture.due(Queue::Retry, 50), [(1, 0, 1)]);
    fixture.apply(vec![attempt(1, 0, 2, Outcome::Delivered, 0), attempt(1, 0, 3, Outcome::Failed, 0)]);
    assert_eq!(fixture.totals().delivered, 1);
    assert!(fixture.due(Queue::Retry, u64::MAX).is_empty());
}

#[test]
fn a_block_before_the_cursor_is_not_matched_again() {
    let mut fixture = Fixture::new();
    fixture.apply(vec![matched(5, Lane::Standard, &[0])]);
    fixture.apply(vec![matched(5, Lane::Standard, &[0]), matched(4, Lane::Standard, &[0])]);
    fixture.apply(vec![matched(3, Lane::Bulk, &[0])]);
    assert_eq!(fixture.totals().matched, 2);
    assert_eq!(fixture.index.cursor(Lane::Standard).unwrap(), 5);
    assert_eq!(fixture.index.cursor(Lane::Bulk).unwrap(), 3);
    assert_eq!(fixture.index.cursor(Lane::Critical).unwrap(), 0);
}

#[test]
fn the_last_part_of_a_block_moves_the_cursor() {
    let mut fixture = Fixture::new();
    fixture.apply(vec![matched(4, Lane::Standard, &[0])]);
    fixture.apply(vec![part(5, Lane::Standard, &[0, 1])]);
    assert_eq!(fixture.index.cursor(Lane::Standard).unwrap(), 4);
    fixture.apply(vec![matched(5, Lane::Standard, &[2])]);
    assert_eq!(fixture.index.cursor(Lane::Standard).unwrap(), 5);
    assert_eq!(fixture.totals().matched, 4);
}

#[test]
fn a_crash_between_two_parts_neither_loses_nor_doubles_a_match() {
    let mut fixture = Fixture::new();
    fixture.apply(vec![part(5, Lane::Standard, &[0, 1])]);
    fixture.apply(vec![attempt(5, 0, 1, Outcome::Delivered, 0)]);
    let mut fixture = fixture.reopen();
    // All of it once more, cut elsewhere, and its first part in the same message as the rest.
    fixture.apply(vec![part(5, Lane::Standard, &[0]), matched(5, Lane::Standard, &[1, 2])]);
    assert_eq!(fixture.totals(), Totals { matched: 3, delivered: 1, pending: 2, ..Totals::default() });
    assert_eq!(fixture.due(Queue::First, 0), [(5, 1, 0), (5, 2, 0)]);
    fixture.apply(vec![matched(5, Lane::Standard, &[3])]);
    assert_eq!(fixture.totals().matched, 3);
}

#[test]
fn a_part_is_remembered_while_earlier_blocks_are_matched() {
    let mut fixture = Fixture::new();
    fixture.apply(vec![matched(10, Lane::Standard, &[0]), part(15, Lane::Standard, &[0, 1, 2])]);
    fixture.apply(vec![attempt(15, 0, 1, Outcome::Delivered, 0), attempt(15, 1, 1, Outcome::Failed, 50)]);
    let mut fixture = fixture.reopen();
    // A changed configuration matches a block before it, and fewer and other events of the block itself.
    fixture.apply(vec![matched(12, Lane::Standard, &[0]), counted(14, Lane::Standard, 1, 2)]);
    fixture.apply(vec![part(15, Lane::Standard, &[0, 3]), matched(15, Lane::Standard, &[1])]);
    assert_eq!(fixture.totals(), Totals { matched: 6, delivered: 1, pending: 5, ..Totals::default() });
    assert_eq!(fixture.due(Queue::First, 0), [(10, 0, 0), (15, 2, 0), (12, 0, 0), (15, 3, 0)]);
    assert_eq!(fixture.due(Queue::Retry, 50), [(15, 1, 1)]);
}

/// Terms end after every number of messages. By each term's configuration, other blocks match than by the one
/// before, and other events of a block.
#[test]
fn wherever_terms_end_each_delivery_is_known_once() {
    for ends in 0..16 {
        let mut fixture = Fixture::new();
        let (mut known, mut delivered) = (BTreeSet::new(), BTreeSet::new());
        for (term, end) in [(0, ends % 4), (1, ends / 4), (2, usize::MAX)] {
            let from = fixture.index.cursor(Lane::Standard).unwrap() + 1;
            let blocks = (from..=6).filter(|block| block % 2 == u64::from(term) % 2);
            let parts = blocks.flat_map(|block| [(block, true), (block, false)]);
            for (block, more) in parts.take(end) {
                let indexes = if more { vec![0, 1, term + 2] } else { vec![term + 3] };
                let record = if more { part } else { matched };
                fixture.apply(vec![record(block, Lane::Standard, &indexes)]);
                fixture.apply(vec![attempt(block, indexes[0], 1, Outcome::Delivered, 0)]);
                known.extend(indexes.iter().map(|&index| (block, index)));
                delivered.insert((block, indexes[0]));
            }
        }
        let totals = fixture.totals();
        let expected = [known.len(), delivered.len()].map(|count| count as u64);
        assert_eq!([totals.matched, totals.delivered], expected, "{ends}");
        let due = fixture.due(Queue::First, 0).into_iter().map(|(block, index, _)| (block, index));
        assert_eq!(due.collect::<BTreeSet<_>>(), &known - &delivered, "{ends}");
    }
}

#[test]
fn a_journal_message_is_folded_once() {
    let mut fixture = Fixture::new();
    fixture.apply(vec![matched(1, Lane::Standard, &[0])]);
    fixture.sequence = 0;
    fixture.apply(vec![matched(2, Lane::Standard, &[0])]);
    assert_eq!(fixture.totals().matched, 1);
}

#[test]
fn events_after_the_cursor_are_counted_once() {
    let mut fixture = Fixture::new();
    fixture.apply(vec![counted(3, Lane::Bulk, 2, 1), counted(5, Lane::Bulk, 1, 0)]);
    fixture.apply(vec![counted(5, Lane::Bulk, 9, 9), counted(4, Lane::Critical, 0, 4)]);
    let routing = |cursor, routed, unmatched| {
        let sources = [("stripe".to_owned(), Routed { routed, unmatched })].into();
        LaneRouting { cursor, uncounted_through: 0, sources }
    };
    let fixture = fixture.reopen();
    assert_eq!(fixture.routing(Lane::Bulk), routing(5, 3, 1));
    assert_eq!(fixture.routing(Lane::Critical), routing(4, 0, 4));
    assert_eq!(fixture.routing(Lane::Standard), LaneRouting::default());
}

#[test]
fn a_record_without_counts_makes_all_before_it_uncounted() {
    let mut fixture = Fixture::new();
    fixture.apply(vec![counted(3, Lane::Bulk, 2, 1)]);
    fixture.apply(vec![matched(4, Lane::Bulk, &[0]), counted(6, Lane::Bulk, 1, 1)]);
    fixture.apply(vec![counted(7, Lane::Bulk, 1, 0)]);
    let sources = [("stripe".to_owned(), Routed { routed: 2, unmatched: 1 })].into();
    assert_eq!(fixture.routing(Lane::Bulk), LaneRouting { cursor: 7, uncounted_through: 4, sources });
}
