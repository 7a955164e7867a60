//! What makes events of own applications the same, and how many of a batch are under way at once.

use std::time::SystemTime;

use floodgate_event::proto::KeyKind;
use floodgate_event::{Secret, ShardCount};
use floodgate_schemes::NamedSecret;
use http::Request;

use super::*;
use crate::verify::Deployment;

const TOKEN: &str = "0c1f6f7c5be24b0f9a5c7d2f8e3b1a64";

fn verifier(intake: &str) -> Verifier {
    let source = format!(
        r#"{{"tenant": "default", "scheme": "token", "secrets": [], "handlers": [],
             "tolerance_seconds": null, "intake": {intake}}}"#
    );
    let secrets = vec![NamedSecret { id: "sec_1".to_owned(), secret: Secret::new(TOKEN) }];
    let deployment =
        Deployment { region: "eu".parse().unwrap(), revision: 7, shards: ShardCount::new(8).unwrap() };
    Verifier::new("shop".parse().unwrap(), &serde_json::from_str(&source).unwrap(), secrets, deployment)
        .unwrap()
}

fn received(body: &str, more: &[(&str, &str)]) -> Received {
    let mut request = Request::post("/v1/events?x=1")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json");
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    Received::for_test(request.body(Bytes::copy_from_slice(body.as_bytes())).unwrap(), SystemTime::UNIX_EPOCH)
}

fn events(verifier: &Verifier, body: &str) -> Vec<Verified> {
    let mut batch = verifier.batch(received(body, &[])).unwrap();
    (0..batch.len()).map(|index| verifier.one_of(&mut batch, index).1.unwrap()).collect()
}

const TWO: &str =
    r#"[{"id":"a","type":"t","customer":"c","n":1},{"id":"a","type":"t","customer":"c","n":2}]"#;

#[test]
fn the_source_decides_what_is_the_same_event() {
    for (dedup, kind, same) in
        [("id", KeyKind::Id, true), ("delivery", KeyKind::Id, true), ("body", KeyKind::Body, false)]
    {
        let verifier = verifier(&format!(r#"{{"dedup": "{dedup}"}}"#));
        let (first, again) = (events(&verifier, TWO), events(&verifier, TWO));
        assert_eq!(first[0].event.id == first[1].event.id, same, "{dedup}");
        assert_eq!((first[0].event.key_kind, &first[0].event.id), (kind.into(), &again[0].event.id));
    }
    let none = events(&verifier(r#"{"dedup": "none"}"#), TWO);
    assert_ne!(none[0].event.id, none[1].event.id);
}

#[test]
fn each_event_has_its_own_lane_shard_and_hash() {
    let verifier = verifier(r#"{"order_by": {"json": "/customer"}, "lanes": {"u": "critical"}}"#);
    let body = r#"[{"id":"1","type":"t","customer":"c"},{"id":"2","type":"u","customer":"c"},{"id":"3","type":"t"}]"#;
    let events = events(&verifier, body);
    assert_eq!(events[0].shard, events[1].shard);
    assert_ne!(events[0].event.lane, events[1].event.lane);
    assert_ne!(events[0].event.body_hash, events[1].event.body_hash);
    assert_eq!(events.iter().map(|event| event.unread.len()).collect::<Vec<_>>(), [0, 0, 1]);
    assert_eq!((events[2].event.secret_id.as_str(), events[2].event.config_revision), ("sec_1", 7));
    let request = events[2].event.request.as_ref().unwrap();
    assert_eq!((request.path.as_str(), request.query.as_str()), ("/v1/events", "x=1"));
}

#[test]
fn fewer_events_are_under_way_at_once_if_they_are_large() {
    let verifier = verifier("{}");
    let at_once = |body: &str, more: &[(&str, &str)]| {
        verifier.batch(received(body, more)).map(|batch| batch.at_once()).unwrap()
    };
    assert_eq!(at_once(TWO, &[]), AT_ONCE);
    let long = "x".repeat(30_000);
    let few = at_once(TWO, &[("x-long", &long)]);
    assert!((2..AT_ONCE / 2).contains(&few), "{few}");
    let large = format!(r#"[{{"id":"a","type":"t","x":"{}"}}]"#, "x".repeat(1_000_000));
    assert!(at_once(&large, &[]) <= 4);
}

#[test]
fn a_token_of_another_source_is_refused() {
    let mut other = received(TWO, &[]);
    other = {
        let (mut parts, body) = (other.parts().clone(), other.into_raw());
        parts.headers.insert("authorization", "Bearer d41d8cd98f00b204e9800998ecf8427e".parse().unwrap());
        Received::for_test(Request::from_parts(parts, body), SystemTime::UNIX_EPOCH)
    };
    assert!(matches!(verifier("{}").batch(other), Err(Refusal::SignatureRefused(_))));
}
