use floodgate_event::Lane;
use floodgate_event::deliveries::{LaneRouting, Routed, Totals};
use floodgate_event::proto::attempt::Outcome;
use floodgate_event::proto::{
    self, Attempt, Continued, Discarded, Matched, MatchedEvents, Record, SourceCount, Target, record,
};
use floodgate_event::schedule::RetrySchedule;
use tempfile::TempDir;

use super::view::DeliveryState;
use super::{DeliveryId, DeliveryIndex, JournalMessage, Queue, Scan, Waiting};

struct Fixture {
    index: DeliveryIndex,
    folder: TempDir,
    sequence: u64,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { index: DeliveryIndex::open(folder.path(), 0).unwrap(), folder, sequence: 0 }
    }

    fn reopen(self) -> Self {
        let Self { index, folder, sequence } = self;
        drop(index);
        Self { index: DeliveryIndex::open(folder.path(), 0).unwrap(), folder, sequence }
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
        // What a log lost is dead in the books, and nobody's dead letter.
        let dead = self.index.dead(DeliveryIndex::MAX_PAGE, None).unwrap().items.len() as u64;
        assert_eq!(self.index.waiting(&"shop".parse().unwrap()), Waiting { open: pending, dead });
        books.all
    }

    fn routing(&self, lane: Lane) -> LaneRouting {
        self.index.totals().unwrap().lanes.remove(&lane).unwrap()
    }

    fn due(&self, queue: Queue, until_us: u64) -> Vec<(u64, u32, u32)> {
        let scan = Scan { queue, behind: None, until_us, limit: 100 };
        let page = self.index.page(&"shop".parse().unwrap(), scan).unwrap();
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

/// As [`matched`], by a release that counts events.
fn counted(log_sequence: u64, lane: Lane, routed: u64, unmatched: u64) -> record::Record {
    let counts = |count| vec![SourceCount { source: "stripe".into(), count }];
    let events = Some(MatchedEvents { routed: counts(routed), unmatched: counts(unmatched) });
    match matched(log_sequence, lane, &[]) {
        record::Record::Matched(matched) => record::Record::Matched(Matched { events, ..matched }),
        other => other,
    }
}

/// The same, of a block that is not done with it.
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

#[test]
fn every_delivery_ends_in_one_column() {
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
fn an_attempt_counts_only_as_the_next_one() {
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
fn what_a_lane_passed_is_not_matched_again() {
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
fn a_block_in_parts_is_done_with_its_last_one() {
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
fn a_journal_message_is_folded_in_once() {
    let mut fixture = Fixture::new();
    fixture.apply(vec![matched(1, Lane::Standard, &[0])]);
    fixture.sequence = 0;
    fixture.apply(vec![matched(2, Lane::Standard, &[0])]);
    assert_eq!(fixture.totals().matched, 1);
}

#[test]
fn first_attempts_keep_the_journals_order_and_retries_that_of_time() {
    let mut fixture = Fixture::new();
    fixture.apply(vec![matched(9, Lane::Bulk, &[0]), matched(7, Lane::Standard, &[0, 1])]);
    assert_eq!(fixture.due(Queue::First, 0), [(9, 0, 0), (7, 0, 0), (7, 1, 0)]);
    fixture.apply(vec![attempt(9, 0, 1, Outcome::Failed, 200), attempt(7, 0, 1, Outcome::Failed, 100)]);
    assert_eq!(fixture.due(Queue::First, 0), [(7, 1, 0)]);
    assert_eq!(fixture.due(Queue::Retry, 150), [(7, 0, 1)]);
    assert_eq!(fixture.due(Queue::Retry, 200), [(7, 0, 1), (9, 0, 1)]);
}

#[test]
fn a_page_says_where_to_go_on() {
    let mut fixture = Fixture::new();
    fixture.apply(vec![matched(1, Lane::Standard, &[0, 1, 2])]);
    let shop = "shop".parse().unwrap();
    let scan = Scan { queue: Queue::First, behind: None, until_us: 0, limit: 2 };
    let first = fixture.index.page(&shop, scan.clone()).unwrap();
    let rest = fixture.index.page(&shop, Scan { behind: first.last, ..scan }).unwrap();
    assert_eq!((first.deliveries.len(), rest.deliveries.len()), (2, 1));
    fixture.apply(vec![attempt(1, 0, 1, Outcome::Failed, 700)]);
    let scan = Scan { queue: Queue::Retry, behind: None, until_us: 10, limit: 2 };
    assert_eq!(fixture.index.page(&shop, scan).unwrap().next_due_us, Some(700));
}

#[test]
fn dead_letters_keep_each_attempt_and_the_last_answer() {
    let mut fixture = Fixture::new();
    fixture.apply(vec![matched(1, Lane::Standard, &[0, 1])]);
    fixture.apply(vec![attempt(1, 0, 1, Outcome::Failed, 50), attempt(1, 1, 1, Outcome::Failed, 0)]);
    fixture.apply(vec![attempt(1, 0, 2, Outcome::Failed, 0)]);
    let page = fixture.index.dead(1, None).unwrap();
    let letter = &page.items[0].delivery;
    assert_eq!(letter.state, DeliveryState::Dead);
    let answers: Vec<_> = letter.attempts.iter().map(|attempt| attempt.response.as_deref()).collect();
    assert_eq!(answers, [None, Some("answer 2")]);
    let rest = fixture.index.dead(1, page.next.as_deref()).unwrap();
    assert_eq!((rest.items[0].index, rest.next), (1, None));
    assert!(fixture.index.dead(1, Some("x")).is_err());
}

#[test]
fn an_event_shows_its_deliveries() {
    let mut fixture = Fixture::new();
    fixture.apply(vec![matched(1, Lane::Standard, &[0, 1])]);
    fixture.apply(vec![attempt(1, 1, 1, Outcome::Delivered, 0)]);
    let json = |index| serde_json::to_value(fixture.index.of_event(1, index).unwrap()).unwrap();
    let pending = serde_json::json!([{
        "destination": "shop", "generation": 0, "state": "pending", "attempts": [], "next_attempt_at": null
    }]);
    assert_eq!(json(0), pending);
    assert_eq!(json(1)[0]["attempts"][0]["started_at"], "1970-01-01T00:00:00Z");
    assert_eq!(json(2), serde_json::json!([]));
}

#[test]
fn each_delivery_knows_the_revision_that_it_was_matched_by() {
    let mut fixture = Fixture::new();
    fixture.apply(vec![matched(1, Lane::Standard, &[0])]);
    fixture.apply(vec![attempt(1, 0, 1, Outcome::Failed, 50)]);
    let scan = Scan { queue: Queue::Retry, behind: None, until_us: 50, limit: 1 };
    let page = fixture.index.page(&"shop".parse().unwrap(), scan).unwrap();
    assert_eq!(page.deliveries[0].matched_by, 1);
}

#[test]
fn an_index_of_another_form_is_emptied() {
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
fn events_are_counted_behind_the_cursor_and_once() {
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

#[test]
fn an_index_of_an_earlier_release_is_folded_anew() {
    let mut fixture = Fixture::new();
    fixture.apply(vec![matched(1, Lane::Standard, &[0])]);
    fixture.index.tables.forget_form().unwrap();
    let fixture = fixture.reopen();
    assert_eq!(fixture.index.checkpoint().unwrap(), None);
    assert_eq!(fixture.reopen().index.checkpoint().unwrap(), None);
}

#[test]
fn what_a_log_lost_is_forgotten_and_comes_again() {
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
    assert!(fixture.index.dead(9, None).unwrap().items.is_empty());
    assert_eq!((fixture.due(Queue::First, 0), fixture.due(Queue::Retry, 99)), (vec![(4, 0, 0)], vec![]));

    fixture.apply(vec![matched(5, Lane::Standard, &[1])]);
    assert_eq!(fixture.due(Queue::First, 0), [(4, 0, 0), (5, 1, 0)]);
}

#[test]
fn a_log_that_goes_on_loses_nothing() {
    let mut fixture = Fixture::new();
    fixture.apply(vec![matched(5, Lane::Standard, &[0])]);
    let continued = Continued { log: "a/".into(), through: u64::MAX };
    fixture.apply(vec![record::Record::Continued(continued)]);
    assert_eq!((fixture.totals().pending, fixture.index.cursor(Lane::Standard).unwrap()), (1, 5));
}

#[test]
fn what_a_wrong_clock_put_off_for_years_is_due_now() {
    let now = 1_780_000_000_000_000;
    let longest = u64::try_from(RetrySchedule::LONGEST.as_micros()).unwrap();
    let years = 2 * 365 * 86_400 * 1_000_000;
    let mut fixture = Fixture::new();
    fixture.apply(vec![matched(1, Lane::Standard, &[0, 1, 2, 3])]);
    fixture.apply(vec![
        attempt(1, 0, 1, Outcome::Failed, now + years),
        attempt(1, 1, 1, Outcome::Failed, now + longest),
        attempt(1, 2, 1, Outcome::Failed, now),
        attempt(1, 3, 1, Outcome::Failed, now + longest + 1),
    ]);
    assert_eq!(fixture.due(Queue::Retry, now), [(1, 2, 1), (1, 3, 1), (1, 0, 1)]);
    // Read on behind the last, as a worker does.
    let scan = |behind| Scan { queue: Queue::Retry, behind, until_us: now, limit: 2 };
    let page = fixture.index.page(&"shop".parse().unwrap(), scan(None)).unwrap();
    assert_eq!((page.deliveries.len(), page.next_due_us), (2, Some(now + longest)));
    let page = fixture.index.page(&"shop".parse().unwrap(), scan(page.last)).unwrap();
    assert_eq!(page.deliveries.len(), 2, "they are met again until they were attempted");
    fixture.apply(vec![attempt(1, 0, 2, Outcome::Delivered, 0), attempt(1, 3, 2, Outcome::Failed, now + 1)]);
    assert_eq!(fixture.due(Queue::Retry, now), [(1, 2, 1)]);
}
