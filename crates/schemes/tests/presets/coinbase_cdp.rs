//! Both versions of Hook0's signature.

use floodgate_event::source::Locator;
use floodgate_schemes::Failure;

use crate::support::{NOW, Sent, post, scheme, with_secrets};

/// Vectors that Hook0 publishes with its sender and its clients.
const V0: &str = "1b3d69df55f1e52f05224ba94a5162abeb17ef52cd7f4948c390f810d6a87e98";
const V1: &str = "bc521546ba5de381b12f135782d2008b028c3065c191760b12b76850a8fc8f51";
const TIME: u64 = 1_636_936_200;
const NAMES: &str = "x-event-id x-event-type";

fn hello(signature: &str) -> Sent {
    let sent = post("hello !")
        .header("x-event-id", "1a01cb48-5142-4d9b-8f90-d20cca61f0ee")
        .header("x-event-type", "service.resource.verb")
        .header("x-hook0-signature", signature);
    Sent { now: TIME, ..sent }
}

#[test]
fn published_signatures_hold() {
    let ours = with_secrets("coinbase-cdp", &["secret"]);
    for good in [
        format!("t={TIME},v0={V0}"),
        format!("t={TIME},h={NAMES},v1={V1}"),
        format!("t={TIME},v0={V0},h={NAMES},v1={V1}"),
        format!("t={TIME},v0={V0},h={NAMES}"),
        format!("v1={V1},x=y,h={NAMES},t={TIME}"),
        // The stronger one is right, and the weaker one is not looked at.
        format!("t={TIME},v0={V1},h={NAMES},v1={V1}"),
    ] {
        assert_eq!(hello(&good).key(&ours), Ok("key-0"), "{good}");
    }
    for bad in [
        format!("t={TIME},v0={V0},h={NAMES},v1={V0}"),
        format!("t={TIME},v0={V0},v1={V1}"),
        format!("t={TIME},h=x-event-type x-event-id,v1={V1}"),
        format!("t={TIME},h=x-event-id,v1={V1}"),
        format!("t={TIME},h=,v1={V1}"),
        format!("t={TIME},h={NAMES}"),
        format!("t={},v0={V0}", TIME + 1),
        format!("t=0{TIME},v0={V0}"),
        format!("t={TIME}"),
        format!("v0={V0}"),
        format!("t=,v0={V0}"),
        format!("t={TIME},t={TIME},v0={V0}"),
        format!("t={TIME},v0={V0},v0={V0}"),
        format!("t={TIME},v0={}", V0.to_uppercase()),
        format!("t={TIME},v0={}", &V0[..62]),
        format!("t={TIME},v0="),
        String::new(),
    ] {
        assert!(hello(&bad).key(&ours).is_err(), "{bad}");
    }
}

#[test]
fn version_1_binds_its_headers() {
    let ours = scheme("coinbase-cdp");
    let sent = post("{}").header("x-event-id", "e.1").header("x-event-type", "t").signed(&ours).unwrap();
    assert_eq!(sent.key(&ours), Ok("key-0"));
    let mut without = sent.clone();
    without.headers.remove("x-event-id");
    assert!(matches!(without.key(&ours), Err(Failure::Missing(_))));
    let changed = [
        sent.clone().header("x-event-id", "e.2"),
        sent.clone().another("x-event-id", "e.1"),
        sent.clone().header("content-type", "text/plain"),
        Sent { body: b"{ }".to_vec(), ..sent.clone() },
    ];
    for changed in changed {
        assert!(changed.key(&ours).is_err(), "{changed:?}");
    }
    // Whoever takes version 1 away has a valid version 0, so no header counts as covered.
    let value = sent.headers["x-hook0-signature"].to_str().unwrap().to_owned();
    let (weaker, _) = value.split_once(",h=").unwrap();
    let weaker = sent.clone().header("x-hook0-signature", weaker).header("x-event-id", "other");
    assert_eq!(weaker.key(&ours), Ok("key-0"));
    assert!(!ours.covers(&Locator::Header("x-event-id".to_owned())));
    assert!(ours.covers(&Locator::Json("/id".to_owned())));
}

#[test]
fn lists_have_an_end() {
    let ours = with_secrets("coinbase-cdp", &["secret"]);
    let pairs = |more: usize| format!("t={TIME},v0={V0}{}", ",x=y".repeat(more));
    assert_eq!(hello(&pairs(14)).key(&ours), Ok("key-0"));
    assert!(matches!(hello(&pairs(15)).key(&ours), Err(Failure::Malformed { .. })));
    let names = |count: usize| format!("t={TIME},h={},v1={V1}", vec!["x-event-id"; count].join(" "));
    assert_eq!(hello(&names(32)).key(&ours), Err(Failure::NoMatch { keys: 1 }));
    assert!(matches!(hello(&names(33)).key(&ours), Err(Failure::Malformed { .. })));
}

#[test]
fn signatures_are_fresh() {
    let ours = scheme("coinbase-cdp");
    let sent = post("{}").signed(&ours).unwrap();
    for now in [NOW - 300, NOW + 300] {
        assert_eq!(Sent { now, ..sent.clone() }.key(&ours), Ok("key-0"));
    }
    for now in [NOW - 301, NOW + 301] {
        assert!(matches!(Sent { now, ..sent.clone() }.key(&ours), Err(Failure::Stale { .. })));
    }
}
