//! When an index is emptied, and what becomes of the lost part of a log.

use floodgate_event::Lane;
use floodgate_event::deliveries::Totals;
use floodgate_event::proto::attempt::Outcome;
use floodgate_event::proto::{Continued, record};

use super::super::Queue;
use super::{Fixture, attempt, counted, matched, part};

#[test]
fn an_index_of_another_format_is_emptied() {
    let mut fixture = Fixture::new();
    fixture.apply(vec![matched(1, Lane::Standard, &[0])]);
    fixture.index.tables.meta.remove("form").unwrap();
    let fixture = fixture.reopen();
    assert_eq!(fixture.index.checkpoint().unwrap(), None);
    assert_eq!(fixture.index.open_destinations(), []);
}

#[test]
fn a_wiped_index_is_empty() {
    let mut fixture = Fixture::new();
    fixture.apply(vec![matched(1, Lane::Standard, &[0])]);
    fixture.index.wipe().unwrap();
    let fixture = fixture.reopen();
    assert_eq!(fixture.index.checkpoint().unwrap(), None);
    assert_eq!(fixture.index.cursor(Lane::Standard).unwrap(), 0);
    assert_eq!(fixture.index.open_destinations(), []);
    assert!(fixture.due(Queue::First, 0).is_empty());
}

#[test]
fn an_index_of_an_earlier_release_is_folded_again() {
    let mut fixture = Fixture::new();
    fixture.apply(vec![matched(1, Lane::Standard, &[0])]);
    fixture.index.tables.remove_format().unwrap();
    let fixture = fixture.reopen();
    assert_eq!(fixture.index.checkpoint().unwrap(), None);
    assert_eq!(fixture.reopen().index.checkpoint().unwrap(), None);
}

#[test]
fn deliveries_of_the_lost_part_of_a_log_are_removed_and_can_be_matched_again() {
    let mut fixture = Fixture::new();
    fixture.apply(vec![counted(3, Lane::Bulk, 2, 1), matched(4, Lane::Standard, &[0])]);
    fixture.apply(vec![matched(5, Lane::Standard, &[0, 1]), matched(6, Lane::Bulk, &[0])]);
    fixture.apply(vec![attempt(5, 1, 1, Outcome::Failed, 0), attempt(5, 0, 1, Outcome::Failed, 9)]);
    let continued = Continued { log: "a/1".into(), through: 4 };
    fixture.apply(vec![record::Record::Continued(continued)]);
    let expected = Totals { matched: 4, delivered: 0, dead: 1, discarded: 2, pending: 1 };
    assert_eq!(fixture.totals(), expected);
    let cursors = [Lane::Standard, Lane::Bulk].map(|lane| fixture.index.cursor(lane).unwrap());
    assert_eq!((cursors, fixture.index.log().unwrap().as_str()), ([4, 4], "a/1"));
    assert_eq!(fixture.routing(Lane::Bulk).uncounted_through, 4);
    assert!(fixture.index.of_event(5, 1).unwrap().is_empty());
    assert!(fixture.index.dead_letters(9, None).unwrap().items.is_empty());
    assert_eq!((fixture.due(Queue::First, 0), fixture.due(Queue::Retry, 99)), (vec![(4, 0, 0)], vec![]));

    fixture.apply(vec![matched(5, Lane::Standard, &[1])]);
    assert_eq!(fixture.due(Queue::First, 0), [(4, 0, 0), (5, 1, 0)]);
}

#[test]
fn a_part_before_the_lost_part_of_a_log_is_remembered() {
    let mut fixture = Fixture::new();
    fixture.apply(vec![part(15, Lane::Standard, &[0])]);
    fixture.apply(vec![part(12, Lane::Standard, &[0])]);
    let continued = Continued { log: "a/1".into(), through: 13 };
    fixture.apply(vec![record::Record::Continued(continued)]);
    fixture.apply(vec![matched(12, Lane::Standard, &[0, 1]), matched(15, Lane::Standard, &[0])]);
    let expected = Totals { matched: 4, delivered: 0, dead: 0, discarded: 1, pending: 3 };
    assert_eq!(fixture.totals(), expected);
    assert_eq!(fixture.due(Queue::First, 0), [(12, 0, 0), (12, 1, 0), (15, 0, 0)]);
}

#[test]
fn a_log_that_continues_without_a_loss_keeps_all_deliveries() {
    let mut fixture = Fixture::new();
    fixture.apply(vec![matched(5, Lane::Standard, &[0])]);
    let continued = Continued { log: "a/".into(), through: u64::MAX };
    fixture.apply(vec![record::Record::Continued(continued)]);
    assert_eq!((fixture.totals().pending, fixture.index.cursor(Lane::Standard).unwrap()), (1, 5));
}
