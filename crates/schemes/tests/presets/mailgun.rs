//! A signature that does not cover the event.

use floodgate_event::scheme::Settings;
use floodgate_event::source::Locator;
use floodgate_schemes::{Failure, presets};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use crate::support::{NOW, Sent, post, scheme, secret, try_scheme, with_secrets};

const TOLERANCE: u64 = 8 * 3_600;

fn signed() -> Sent {
    post(r#"{"event-data": {"event": "opened", "id": "e1"}}"#).signed(&scheme("mailgun")).unwrap()
}

fn changed(sent: &Sent, change: impl FnOnce(&mut Value)) -> Sent {
    let mut body = serde_json::from_slice(&sent.body).unwrap();
    change(&mut body);
    Sent { body: body.to_string().into_bytes(), ..sent.clone() }
}

#[test]
fn the_event_is_not_covered_and_the_token_is() {
    let ours = scheme("mailgun");
    let forged =
        changed(&signed(), |body| body["event-data"] = json!({"event": "complained", "id": "forged"}));
    assert_eq!(forged.key(&ours), Ok("key-0"));
    for (pointer, covered) in [
        ("/signature/token", true),
        ("/signature/timestamp", true),
        ("/signature", false),
        ("/signature/parent-signature", false),
        ("/event-data/id", false),
        ("/event-data/event", false),
        ("", false),
    ] {
        assert_eq!(ours.covers(&Locator::Json(pointer.to_owned())), covered, "{pointer}");
    }
    assert!(!ours.covers(&Locator::Header("signature".to_owned())));
    assert!(ours.covers(&presets::find("mailgun").unwrap().id.unwrap().into()));
}

#[test]
fn a_signature_is_fresh_for_as_long_as_there_are_retries() {
    let ours = scheme("mailgun");
    let at = |now| Sent { now, ..signed() }.key(&ours).map(ToOwned::to_owned);
    for now in [NOW - TOLERANCE, NOW + TOLERANCE] {
        assert_eq!(at(now), Ok("key-0".to_owned()));
    }
    for now in [NOW - TOLERANCE - 1, NOW + TOLERANCE + 1] {
        assert!(matches!(at(now), Err(Failure::Stale { .. })), "{now}");
    }
    let settings = Settings { tolerance_seconds: Some(300), ..Settings::default() };
    let strict = try_scheme("mailgun", &settings, &[secret("mailgun")]).unwrap();
    assert!(matches!(Sent { now: NOW + 301, ..signed() }.key(&strict), Err(Failure::Stale { .. })));
}

#[test]
fn the_parent_account_may_have_signed() {
    let parent = with_secrets("mailgun", &["the parent's"]);
    let child: Value = serde_json::from_slice(&signed().body).unwrap();
    assert!(signed().key(&parent).is_err());
    let both = changed(&signed().signed(&parent).unwrap(), |body| {
        body["signature"]["parent-signature"] = body["signature"]["signature"].take();
        body["signature"]["signature"] = child["signature"]["signature"].clone();
    });
    assert_eq!(both.key(&parent), Ok("key-0"));
    assert_eq!(both.key(&scheme("mailgun")), Ok("key-0"));
    let neither = with_secrets("mailgun", &["of nobody"]);
    assert_eq!(both.key(&neither), Err(Failure::NoMatch { keys: 1 }));
}

#[test]
fn time_and_token_have_one_form() {
    let ours = scheme("mailgun");
    let number = changed(&signed(), |body| body["signature"]["timestamp"] = NOW.into());
    assert_eq!(number.key(&ours), Ok("key-0"));
    let short = changed(&signed(), |body| {
        let token = body["signature"]["token"].as_str().unwrap().to_owned();
        body["signature"]["timestamp"] = format!("{NOW}{}", &token[..1]).into();
        body["signature"]["token"] = token[1..].into();
    });
    let padded = changed(&signed(), |body| body["signature"]["timestamp"] = format!("0{NOW}").into());
    let twice = String::from_utf8(signed().body).unwrap().replacen('{', "{\"signature\":{},", 1);
    let none = post(r#"{"event-data": {}}"#);
    for bad in [short, padded, post(twice), none, post("[]"), post("")] {
        assert!(matches!(bad.key(&ours), Err(Failure::Malformed { .. })), "{bad:?}");
    }
}

#[test]
fn a_retry_that_is_signed_anew_has_the_same_token() {
    let token =
        |sent: Sent| serde_json::from_slice::<Value>(&sent.body).unwrap()["signature"]["token"].take();
    let later = Sent { now: NOW + 60, ..signed() }.signed(&scheme("mailgun")).unwrap();
    assert_eq!(token(later), token(signed()));
}

proptest! {
    #[test]
    fn no_byte_of_what_is_signed_can_change(
        field in prop::sample::select(vec!["timestamp", "token", "signature"]),
        at: Index,
        mask in 1..=u8::MAX,
    ) {
        let mut sent = signed();
        let text = serde_json::from_slice::<Value>(&sent.body).unwrap()["signature"][field].to_string();
        let start = String::from_utf8(sent.body.clone()).unwrap().find(&text).unwrap();
        sent.body[start + at.index(text.len())] ^= mask;
        prop_assert!(sent.received(&scheme("mailgun")).is_err(), "{:?}", sent);
    }
}
