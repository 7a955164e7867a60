//! What the API shows of deliveries.

use floodgate_api::event::DeliveryState;
use floodgate_event::Lane;
use floodgate_event::proto::attempt::Outcome;

use super::{Fixture, attempt, matched};

#[test]
fn dead_letters_keep_each_attempt_and_the_last_answer() {
    let mut fixture = Fixture::new();
    fixture.apply(vec![matched(1, Lane::Standard, &[0, 1])]);
    fixture.apply(vec![attempt(1, 0, 1, Outcome::Failed, 50), attempt(1, 1, 1, Outcome::Failed, 0)]);
    fixture.apply(vec![attempt(1, 0, 2, Outcome::Failed, 0)]);
    let page = fixture.index.dead_letters(1, None).unwrap();
    let letter = &page.items[0].delivery;
    assert_eq!(letter.state, DeliveryState::Dead);
    let answers: Vec<_> = letter.attempts.iter().map(|attempt| attempt.response.as_deref()).collect();
    assert_eq!(answers, [None, Some("answer 2")]);
    let rest = fixture.index.dead_letters(1, page.next.as_deref()).unwrap();
    assert_eq!((rest.items[0].index, rest.next), (1, None));
    assert!(fixture.index.dead_letters(1, Some("x")).is_err());
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
