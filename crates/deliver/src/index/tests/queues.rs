//! Which deliveries are due, and in which order.

use floodgate_event::Lane;
use floodgate_event::proto::attempt::Outcome;
use floodgate_event::schedule::RetrySchedule;

use super::super::{Queue, Scan};
use super::{Fixture, attempt, matched};

#[test]
fn first_attempts_are_in_the_order_of_the_journal_and_retries_by_due_time() {
    let mut fixture = Fixture::new();
    fixture.apply(vec![matched(9, Lane::Bulk, &[0]), matched(7, Lane::Standard, &[0, 1])]);
    assert_eq!(fixture.due(Queue::First, 0), [(9, 0, 0), (7, 0, 0), (7, 1, 0)]);
    fixture.apply(vec![attempt(9, 0, 1, Outcome::Failed, 200), attempt(7, 0, 1, Outcome::Failed, 100)]);
    assert_eq!(fixture.due(Queue::First, 0), [(7, 1, 0)]);
    assert_eq!(fixture.due(Queue::Retry, 150), [(7, 0, 1)]);
    assert_eq!(fixture.due(Queue::Retry, 200), [(7, 0, 1), (9, 0, 1)]);
}

#[test]
fn a_page_says_where_the_next_one_starts() {
    let mut fixture = Fixture::new();
    fixture.apply(vec![matched(1, Lane::Standard, &[0, 1, 2])]);
    let shop = "shop".parse().unwrap();
    let scan = Scan { queue: Queue::First, after: None, until_us: 0, limit: 2 };
    let first = fixture.index.due(&shop, scan.clone()).unwrap();
    let rest = fixture.index.due(&shop, Scan { after: first.last, ..scan }).unwrap();
    assert_eq!((first.deliveries.len(), rest.deliveries.len()), (2, 1));
    fixture.apply(vec![attempt(1, 0, 1, Outcome::Failed, 700)]);
    let scan = Scan { queue: Queue::Retry, after: None, until_us: 10, limit: 2 };
    assert_eq!(fixture.index.due(&shop, scan).unwrap().next_due_us, Some(700));
}

#[test]
fn a_retry_keeps_the_revision_that_matched_it() {
    let mut fixture = Fixture::new();
    fixture.apply(vec![matched(1, Lane::Standard, &[0])]);
    fixture.apply(vec![attempt(1, 0, 1, Outcome::Failed, 50)]);
    let scan = Scan { queue: Queue::Retry, after: None, until_us: 50, limit: 1 };
    let page = fixture.index.due(&"shop".parse().unwrap(), scan).unwrap();
    assert_eq!(page.deliveries[0].matched_by, 1);
}

#[test]
fn a_retry_that_a_wrong_clock_put_off_for_years_is_due_now() {
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
    // Continue after the last one, as a worker does.
    let scan = |after| Scan { queue: Queue::Retry, after, until_us: now, limit: 2 };
    let page = fixture.index.due(&"shop".parse().unwrap(), scan(None)).unwrap();
    assert_eq!((page.deliveries.len(), page.next_due_us), (2, Some(now + longest)));
    let page = fixture.index.due(&"shop".parse().unwrap(), scan(page.last)).unwrap();
    assert_eq!(page.deliveries.len(), 2, "they are met again until they were attempted");
    fixture.apply(vec![attempt(1, 0, 2, Outcome::Delivered, 0), attempt(1, 3, 2, Outcome::Failed, now + 1)]);
    assert_eq!(fixture.due(Queue::Retry, now), [(1, 2, 1)]);
}
