//! Notifications that sign inside of their items.

use floodgate_event::source::Locator;
use floodgate_schemes::{Failure, presets};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use crate::support::{Sent, post, scheme};

fn item(reference: &str) -> Value {
    json!({"NotificationRequestItem": {
        "pspReference": reference, "originalReference": null, "merchantAccountCode": "Shop",
        "merchantReference": "order-1", "amount": {"value": 1130, "currency": "EUR"},
        "eventCode": "AUTHORISATION", "success": "true", "additionalData": {"expiryDate": "12/2030"},
    }})
}

fn signed(items: &[Value]) -> Sent {
    post(json!({"live": "false", "notificationItems": items}).to_string()).signed(&scheme("adyen")).unwrap()
}

/// The request with a text of its body replaced.
fn replaced(sent: &Sent, from: &str, to: &str) -> Sent {
    let body = String::from_utf8(sent.body.clone()).unwrap();
    assert!(body.contains(from), "{body}");
    post(body.replacen(from, to, 1))
}

#[test]
fn every_item_must_be_signed() {
    let (ours, both) = (scheme("adyen"), signed(&[item("AAAA1"), item("BBBB2")]));
    assert_eq!(both.key(&ours), Ok("key-0"));
    for (from, to) in [("AAAA1", "AAAA2"), ("BBBB2", "BBBB3")] {
        assert_eq!(replaced(&both, from, to).key(&ours), Err(Failure::NoMatch { keys: 1 }), "{from}");
    }
    let mut unsigned: Value = serde_json::from_slice(&both.body).unwrap();
    let data = &mut unsigned["notificationItems"][1]["NotificationRequestItem"]["additionalData"];
    data.as_object_mut().unwrap().remove("hmacSignature");
    assert!(matches!(post(unsigned.to_string()).key(&ours), Err(Failure::Missing(_))));
}

#[test]
fn lists_are_neither_empty_nor_endless() {
    let ours = scheme("adyen");
    let of = |count: usize| post(json!({"notificationItems": vec![item("A"); count]}).to_string());
    assert_eq!(of(100).signed(&ours).unwrap().key(&ours), Ok("key-0"));
    for count in [0, 101] {
        assert!(of(count).signed(&ours).is_none());
        assert!(matches!(of(count).key(&ours), Err(Failure::Malformed { .. })), "{count}");
    }
}

#[test]
fn a_field_that_occurs_twice_is_refused() {
    let twice =
        replaced(&signed(&[item("AAAA1")]), "\"pspReference\"", "\"pspReference\":\"X\",\"pspReference\"");
    assert!(matches!(twice.key(&scheme("adyen")), Err(Failure::Malformed { .. })));
}

/// A parser reads a list as it reads an object, and no consumer finds its fields in a list.
#[test]
fn lists_do_not_stand_for_objects() {
    let ours = scheme("adyen");
    let item: Value = serde_json::from_slice(&signed(&[item("AAAA1")]).body).unwrap();
    let item = item["notificationItems"][0]["NotificationRequestItem"].clone();
    let signature = item["additionalData"]["hmacSignature"].clone();
    let with = |field: &str, value: Value| {
        let mut item = item.clone();
        item[field] = value;
        json!({"NotificationRequestItem": item})
    };
    let body = |wrapper: Value| json!({"live": "false", "notificationItems": [wrapper]});
    let list = json!([
        "AAAA1", null, "Shop", "order-1", {"value": 1130, "currency": "EUR"}, "AUTHORISATION", "true",
        {"hmacSignature": signature},
    ]);
    assert_eq!(post(body(with("success", json!("true"))).to_string()).key(&ours), Ok("key-0"));
    for bad in [
        body(json!([list])),
        body(json!([item])),
        body(json!({"NotificationRequestItem": list})),
        body(with("amount", json!([1130, "EUR"]))),
        body(with("additionalData", json!([signature]))),
        json!([[{"NotificationRequestItem": item}]]),
    ] {
        let refused = post(bad.to_string()).key(&ours).unwrap_err();
        assert!(matches!(refused, Failure::Malformed { .. }), "{bad}: {refused}");
    }
}

#[test]
fn success_may_be_a_boolean() {
    let ours = scheme("adyen");
    let sent = replaced(&signed(&[item("AAAA1")]), r#""success":"true""#, r#""success":true"#);
    assert_eq!(sent.key(&ours), Ok("key-0"));
    assert_eq!(sent.content(&ours), signed(&[item("AAAA1")]).content(&ours));
    for (other, refused) in [("false", false), ("1", true), ("\"True\"", true), ("null", true), ("[]", true)]
    {
        let failure = replaced(&sent, r#""success":true"#, &format!(r#""success":{other}"#)).key(&ours);
        assert_eq!(matches!(failure, Err(Failure::Malformed { .. })), refused, "{other}");
        assert!(failure.is_err(), "{other}");
    }
}

#[test]
fn colons_move_nothing_into_a_covered_field() {
    let ours = scheme("adyen");
    let one = |psp: &str, account: &str, reference: &str| {
        let mut item = item(psp);
        item["NotificationRequestItem"]["merchantAccountCode"] = account.into();
        item["NotificationRequestItem"]["merchantReference"] = reference.into();
        item
    };
    let honest = signed(&[one("AAAA1", "Shop", "x:y")]);
    assert_eq!(honest.key(&ours), Ok("key-0"));
    let signature: Value = serde_json::from_slice(&honest.body).unwrap();
    let signature = &signature["notificationItems"][0]["NotificationRequestItem"]["additionalData"];
    let with = |mut item: Value| {
        item["NotificationRequestItem"]["additionalData"] = signature.clone();
        post(json!({"notificationItems": [item]}).to_string())
    };
    // The scheme cannot tell these two apart, so it says that it does not cover them.
    assert_eq!(with(one("AAAA1", "Shop:x", "y")).key(&ours), Ok("key-0"));
    let mut shifted = one("AAAA1:", "x", "y");
    shifted["NotificationRequestItem"]["originalReference"] = "Shop".into();
    assert!(matches!(with(shifted).key(&ours), Err(Failure::Malformed { .. })));
    let covers = |field: &str| {
        ours.covers(&Locator::Json(format!("/notificationItems/0/NotificationRequestItem/{field}")))
    };
    for field in ["pspReference", "amount/value", "eventCode", "success"] {
        assert!(covers(field), "{field}");
    }
    for field in ["merchantAccountCode", "merchantReference", "reason", "eventDate", "amount"] {
        assert!(!covers(field), "{field}");
    }
    assert!(!ours.covers(&Locator::Json("/live".to_owned())));
}

#[test]
fn signing_leaves_the_rest_of_a_body_as_it_was() {
    let ours = scheme("adyen");
    let body = r#"{ "z": 1.10, "notificationItems": [ {"NotificationRequestItem": {"eventCode":"REPORT_AVAILABLE","success":"true"} } ] }"#;
    let signed = post(body).signed(&ours).unwrap();
    let text = String::from_utf8(signed.body.clone()).unwrap();
    assert!(
        text.starts_with(r#"{ "z": 1.10, "notificationItems": [ {"NotificationRequestItem": {"eventCode""#),
        "{text}"
    );
    assert_eq!(signed.key(&ours), Ok("key-0"));
}

#[test]
fn accepted_is_said_to_the_notifications_that_ask_for_it() {
    let body = |name| presets::find(name).unwrap().accepted_body;
    assert_eq!((body("adyen"), body("adyen-platform")), (Some("[accepted]"), None));
}

proptest! {
    #[test]
    fn no_byte_of_a_signed_field_can_change(
        field in prop::sample::select(vec!["AAAA1", "BBBB2", "Shop", "order-1", "1130", "EUR", "AUTHORISATION", "true"]),
        at: Index,
        mask in 1..=u8::MAX,
    ) {
        let mut sent = signed(&[item("AAAA1"), item("BBBB2")]);
        let body = String::from_utf8(sent.body.clone()).unwrap();
        sent.body[body.find(field).unwrap() + at.index(field.len())] ^= mask;
        prop_assert!(sent.received(&scheme("adyen")).is_err(), "{:?}", sent);
    }

    #[test]
    fn no_byte_of_its_signature_can_change(at: Index, mask in 1..=u8::MAX) {
        let mut sent = signed(&[item("AAAA1")]);
        let body = String::from_utf8(sent.body.clone()).unwrap();
        let start = body.find("hmacSignature\":\"").unwrap() + "hmacSignature\":\"".len();
        sent.body[start + at.index(44)] ^= mask;
        prop_assert!(sent.received(&scheme("adyen")).is_err(), "{:?}", sent);
    }
}
