//! What somebody can do who has seen a whole request and does not know the key.

use floodgate_schemes::{NoPublishedKeys, Received, Request};
use http::HeaderMap;
use serde_json::{Value, json};

use crate::support::{NOW, Sent, post, scheme};

/// The answer of X's check is the signature of its token. If a token could be an event, anyone could have any
/// event signed.
#[test]
fn no_token_of_x_is_an_event() {
    let ours = scheme("x");
    let ask = |token: &str| {
        let query: String = url::form_urlencoded::byte_serialize(token.as_bytes()).collect();
        let request = Request {
            method: "GET",
            url: &format!("/in/x?crc_token={query}"),
            headers: &HeaderMap::new(),
            body: &[],
            now: NOW,
            published: &NoPublishedKeys,
            client: None,
        };
        match ours.question(&request)? {
            Ok(answer) => serde_json::from_slice::<Value>(&answer.body).unwrap()["response_token"]
                .as_str()
                .map(str::to_owned),
            Err(_) => None,
        }
    };
    for event in [r#"{"tweet_create_events":[]}"#, " {}", "[]", "a b", "", &"a".repeat(257)] {
        assert_eq!(ask(event), None, "{event}");
    }
    let token = "9b4507b3-9040-4669-9ca3-6b94edb50553";
    let signature = ask(token).unwrap();
    let sent = post(token).header("x-twitter-webhooks-signature", &signature);
    assert!(sent.received(&ours).is_err(), "a token is no event either");
    // What no token can be is one, as X signs it.
    let long = "a".repeat(257);
    for event in [r#"{"tweet_create_events":[]}"#, "[]", "a b", "", "\u{feff}abc", "abc\n", &long] {
        assert_eq!(post(event).signed(&ours).unwrap().key(&ours), Ok("key-0"), "{event}");
    }
    for token in [token, "a", "0", "abc_-.+/=", &long[1..]] {
        let sent = post(token).signed(&ours).unwrap();
        assert!(ask(token).is_some() && sent.key(&ours).is_err(), "{token}");
    }
}

/// A parser reads a list as it reads an object, and nobody finds the id in a list.
#[test]
fn a_signature_of_mailgun_is_an_object() {
    let ours = scheme("mailgun");
    let signed = post(r#"{"event-data": {"event": "opened"}}"#).signed(&ours).unwrap();
    let body: Value = serde_json::from_slice(&signed.body).unwrap();
    let list =
        [&body["signature"]["timestamp"], &body["signature"]["token"], &body["signature"]["signature"]];
    let forged = json!({"signature": [list[0], list[1], list[2], null], "event-data": {"event": "forged"}});
    assert!(Sent { body: forged.to_string().into(), ..signed.clone() }.key(&ours).is_err());
    let forged = Sent { body: body.to_string().replace("opened", "forged").into(), ..signed.clone() };
    assert_eq!(forged.key(&ours), Ok("key-0"));
    assert_eq!(forged.content(&ours), signed.content(&ours), "it is the same event whatever decides");
}

#[test]
fn an_item_of_adyen_that_is_repeated_is_no_other_event() {
    let ours = scheme("adyen");
    let item = |reference: &str| {
        json!({"NotificationRequestItem": {
            "pspReference": reference, "merchantAccountCode": "Shop", "merchantReference": "order-1",
            "amount": {"value": 1130, "currency": "EUR"}, "eventCode": "AUTHORISATION", "success": "true",
        }})
    };
    let content = |items: &[&str]| {
        let items: Vec<Value> = items.iter().map(|reference| item(reference)).collect();
        let sent = post(json!({"notificationItems": items}).to_string()).signed(&ours).unwrap();
        assert_eq!(sent.key(&ours), Ok("key-0"));
        sent.content(&ours).unwrap()
    };
    assert_eq!(content(&["A"]), content(&["A", "A", "A"]));
    assert_eq!(content(&["A", "B"]), content(&["B", "A", "B"]));
    assert_ne!(content(&["A"]), content(&["B"]));
}

/// Nothing is between the time and the body, so digits could move from one to the other.
#[test]
fn a_digit_cannot_move_from_the_time_into_the_body() {
    for preset in ["discord", "sendgrid"] {
        let preset = floodgate_schemes::presets::find(preset).unwrap();
        assert!(!preset.body_begins.is_empty(), "{}", preset.name);
        assert!(
            !preset.body_begins.contains(|character: char| character.is_ascii_digit()),
            "{}",
            preset.name
        );
    }
}

/// Webhook events have type 1 as the question of interactions has.
#[test]
fn a_webhook_event_of_discord_is_no_question() {
    let event = br#"{"version":1,"application_id":"2","type":1,"event":{"type":"APPLICATION_AUTHORIZED"}}"#;
    let key = ring::signature::Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let settings = floodgate_event::scheme::Settings {
        public_keys: vec![hex::encode(ring::signature::KeyPair::public_key(&key))],
        ..Default::default()
    };
    for name in ["discord", "discord-events"] {
        let ours = floodgate_schemes::Scheme::new(name, &settings, vec![]).unwrap();
        let signature = hex::encode(key.sign(&[b"1700000000".as_slice(), event].concat()));
        let sent = post(event.as_slice())
            .header("x-signature-timestamp", "1700000000")
            .header("x-signature-ed25519", &signature);
        assert!(matches!(sent.received(&ours), Ok(Received::Event(_))), "{name}");
    }
}
