use super::*;

const PAUSE: Duration = Duration::from_millis(20);

fn activity() -> Arc<Activity> {
    Arc::new(Activity::new(3, 1))
}

fn begin(activity: &Arc<Activity>, head: usize) -> Arc<ActiveRequest> {
    activity.take_head(head);
    activity.begin(None)
}

#[test]
fn a_connection_is_idle_once_its_last_answer_is_written() {
    let activity = activity();
    let request = begin(&activity, usize::MAX);
    assert!(!activity.is_idle() && !activity.is_working());
    request.arrived();
    assert!(activity.is_working());
    request.answered(true);
    request.arrived();
    assert!(!activity.is_idle() && !activity.is_working());
    drop(request);
    assert!(activity.is_idle());
    std::thread::sleep(PAUSE);
    assert!(activity.still_for() >= PAUSE);
}

#[test]
fn the_answer_that_lies_longest_counts_whatever_the_others_do() {
    let activity = activity();
    let (slow, quick) = (begin(&activity, usize::MAX), begin(&activity, usize::MAX));
    slow.answered(true);
    quick.answered(true);
    std::thread::sleep(PAUSE);
    quick.step();
    assert!(activity.unread_for() >= PAUSE);
    drop(slow);
    quick.step();
    activity.set_blocked(true);
    std::thread::sleep(PAUSE);
    drop(quick);
    assert!(activity.unread_for() >= PAUSE, "the socket takes nothing");
    activity.set_blocked(false);
    assert_eq!(activity.unread_for(), Duration::ZERO);
}

#[test]
fn requests_that_follow_in_one_read_are_counted_until_they_begin() {
    let activity = activity();
    let arrive = |bytes| {
        activity.read(bytes);
        activity.delivered(bytes);
    };
    arrive(1_000);
    let first = begin(&activity, 300);
    assert_eq!(activity.untaken(), 700);
    first.took(100);
    assert_eq!(activity.untaken(), 600, "its body");
    let _second = begin(&activity, 250);
    assert_eq!(activity.untaken(), 350);
    arrive(50);
    let _third = begin(&activity, 390);
    assert_eq!(activity.untaken(), 10);
}

#[test]
fn a_head_that_is_longer_than_it_seems_does_not_add_up() {
    let activity = activity();
    for _ in 0..1_000 {
        activity.delivered(400);
        let _request = begin(&activity, 390);
        assert!(activity.untaken() <= 400, "{}", activity.untaken());
    }
}

#[test]
fn a_connection_is_spent_with_its_last_request_and_overdrawn_long_after() {
    use futures::FutureExt as _;

    let activity = activity();
    let next = || drop(begin(&activity, 0));
    (0..2).for_each(|_| next());
    assert!(!activity.is_spent() && activity.spent().now_or_never().is_none());
    next();
    assert!(activity.is_spent() && activity.spent().now_or_never().is_some());
    (0..2).for_each(|_| next());
    assert!(activity.overdrawn().now_or_never().is_none());
    next();
    assert!(activity.overdrawn().now_or_never().is_some());
}

#[test]
fn what_a_request_takes_is_its_own_affair() {
    let activity = activity();
    activity.read(300);
    let request = begin(&activity, usize::MAX);
    assert_eq!(activity.untaken(), 0);
    activity.read(100);
    request.took(70);
    assert_eq!(activity.untaken(), 30);
    request.took(70);
    assert_eq!(activity.untaken(), 0);
}

/// White space, and the rest of a target whose host is long, are in no part of a head.
#[test]
fn a_head_takes_all_that_was_read_before_its_last_piece() {
    let activity = activity();
    activity.delivered(32_000);
    activity.delivered(2);
    assert_eq!(activity.take_head(200), 32_000);
    activity.delivered(500);
    assert_eq!((activity.take_head(200), activity.untaken()), (200, 302), "the rest may be the next request");
}

#[test]
fn requests_that_begin_after_the_end_keep_nothing_open() {
    let activity = activity();
    let early = activity.begin(None);
    activity.close();
    let late = activity.begin(None);
    late.arrived();
    assert!(!activity.is_working());
    early.arrived();
    assert!(activity.is_working());
    drop(early);
    std::thread::sleep(PAUSE);
    late.answered(true);
    late.step();
    drop(late);
    assert!(activity.is_idle() && activity.still_for() >= PAUSE);
}
