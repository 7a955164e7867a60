//! Notifications with a secret each.

use floodgate_schemes::{Failure, Received};
use serde_json::{Value, json};

use crate::support::{Sent, post, scheme, with_secrets};

fn notifications(states: &[&str]) -> Sent {
    let items: Vec<Value> = states.iter().map(|state| json!({"id": "n", "clientState": state})).collect();
    post(json!({"value": items}).to_string())
}

#[test]
fn every_notification_has_a_secret_of_the_source() {
    let ours = with_secrets("microsoft-graph", &["old", "new"]);
    assert_eq!(notifications(&["old"]).key(&ours), Ok("key-0"));
    assert_eq!(notifications(&["old", "new"]).key(&ours), Ok("key-1"));
    for states in [&["evil"][..], &["old", "evil"], &["evil", "old"], &["old", "new", ""], &["old "]] {
        assert_eq!(notifications(states).key(&ours), Err(Failure::NoMatch { keys: 2 }), "{states:?}");
    }
}

#[test]
fn lists_are_neither_empty_nor_endless_nor_without_a_secret() {
    let ours = with_secrets("microsoft-graph", &["state"]);
    assert_eq!(notifications(&vec!["state"; 1_000]).key(&ours), Ok("key-0"));
    let one = r#"{"value":[{"clientState":"state","clientState":"state"}]}"#;
    let bad = [
        notifications(&[]),
        notifications(&vec!["state"; 1_001]),
        post(r#"{"value":[{"clientState":"state"},{"id":"n1"}]}"#),
        post(r#"{"value":[{"clientState":"state"},{"clientState":null}]}"#),
        post(r#"{"clientState":"state"}"#),
        post(one),
    ];
    for bad in bad {
        assert!(matches!(bad.key(&ours), Err(Failure::Malformed { .. })), "{bad:?}");
    }
}

#[test]
fn the_token_of_a_validation_comes_back_as_plain_text() {
    let asked = post("").query("validationToken=%3Cscript%3E+x");
    let Ok(Received::Handshake(answer)) = asked.received(&scheme("microsoft-graph")) else { panic!() };
    assert_eq!((answer.status, &*answer.body), (200, &b"<script> x"[..]));
    let header = |name| answer.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value);
    assert_eq!(
        (header("content-type"), header("x-content-type-options")),
        (Some("text/plain"), Some("nosniff"))
    );
}
