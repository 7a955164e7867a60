use floodgate_event::Secret;
use floodgate_schemes::{NamedSecret, NoPublishedKeys, Unsigned, presets};
use http::HeaderMap;

use super::*;

const NOW: u64 = 1_700_000_000;
const BODY: &str = r#"{"id":"evt_1","type":"charge.succeeded"}"#;

/// Explains a request that this scheme and secret signed, with another body and at another time.
fn of(scheme: &str, secret: &str, body: &str, now: u64, read: impl FnOnce(&Explanation<'_>)) {
    let preset = presets::find(scheme).unwrap();
    let key = |secret: &str| vec![NamedSecret { id: "one.txt".to_owned(), secret: Secret::new(secret) }];
    let signer = Scheme::of(preset, &Settings::default(), key("s3cret")).unwrap();
    let (headers, url) = (&HeaderMap::new(), "https://r.example/in/a");
    let message = Unsigned { method: "POST", url, headers, body: BODY.as_bytes(), id: "msg_1", now: NOW };
    let signed = signer.sign(&message).unwrap();
    let mut saved = Saved::parse(b"POST /in/a HTTP/1.1\n\n", Some(body.into())).unwrap();
    saved.headers.extend(signed.headers);
    saved.notes = vec!["a note with \u{1b}[2J".to_owned()];
    let (settings, secrets) = (&Settings::default(), &key(secret));
    let scheme = &Scheme::of(preset, settings, secrets.clone()).unwrap();
    let case = Case { scheme, settings, secrets, saved: &saved, url, now, published: &NoPublishedKeys };
    let explanation = explain(&case);
    for text in [explanation.text(), serde_json::to_string(&explanation.json()).unwrap()] {
        assert!(!text.contains("s3cret") && !text.contains("wr0ng"), "{text}");
        let signature = saved.headers.get("stripe-signature").map(|value| value.to_str().unwrap());
        assert!(signature.is_none_or(|signature| !text.contains(&signature[20..])), "{text}");
    }
    read(&explanation);
}

#[test]
fn a_valid_request_says_its_key_and_its_event() {
    of("stripe", "s3cret", BODY, NOW + 300, |explanation| {
        let text = explanation.text();
        for line in [
            "scheme        stripe (Stripe)",
            "described at  https://docs.stripe.com/webhooks/signature",
            "signed        {timestamp}.{body}",
            "form       passed",
            "audience   passed",
            "event id    evt_1 (signed)",
            "event type  charge.succeeded",
            "note          a note with \\u{1b}[2J",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
        assert!(text.ends_with("\nvalid, by the key one.txt\n"), "{text}");
        assert_eq!(explanation.refusal(), None);
        assert_eq!(
            serde_json::to_value(explanation.json()).unwrap(),
            serde_json::json!({
                "result": "valid", "step": null, "reason": null, "key": "one.txt",
                "event": {"id": "evt_1", "type": "charge.succeeded"}, "hints": [],
            })
        );
    });
}

#[test]
fn the_step_that_failed_is_named_with_what_was_expected() {
    of("stripe", "s3cret", &format!("{BODY}\n"), NOW, |explanation| {
        let text = explanation.text();
        for line in [
            "time       passed",
            "key        passed",
            "signature  FAILED: the signature or secret matches none of the keys (1 tried)",
            "           expected signed: {timestamp}.{body}",
            "audience   not reached",
            "hint        it verifies over the body without the line end at its end",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
        assert!(text.ends_with("\ninvalid: signature\n"));
        let json = serde_json::to_value(explanation.json()).unwrap();
        assert_eq!(
            (&json["result"], &json["step"], &json["key"]),
            (&"invalid".into(), &"signature".into(), &().into())
        );
        assert!(explanation.refusal().unwrap().starts_with("the request is refused: signature: "));
    });
    of("github", "wr0ng", BODY, NOW, |explanation| {
        assert!(explanation.text().contains("time       requests have no signed time\n"));
    });
}

#[test]
fn an_age_says_what_another_time_would_show() {
    of("stripe", "s3cret", BODY, NOW + 4_000, |explanation| {
        let text = explanation.text();
        assert!(text.contains("time       FAILED: the signed time is 4000 s in the past"), "{text}");
        assert!(text.contains("only the age is wrong: with --at 1700000000 the request is valid"), "{text}");
        assert!(text.contains("signature  not reached"), "{text}");
    });
    of("stripe", "wr0ng", BODY, NOW + 4_000, |explanation| {
        let text = explanation.text();
        assert!(text.contains("with --at 1700000000 it is still refused: signature: "), "{text}");
        assert!(!text.contains("only the age"), "{text}");
    });
}

#[test]
fn an_id_that_is_not_signed_is_called_so() {
    of("github", "s3cret", "[]", NOW, |explanation| {
        assert!(explanation.text().contains("event id    none (missing)\n"));
    });
}

#[test]
fn a_handshake_is_no_event() {
    let preset = presets::find("dropbox").unwrap();
    let secrets = &vec![NamedSecret { id: String::new(), secret: Secret::new("s3cret") }];
    let saved = &Saved::parse(b"GET /in/a?challenge=1 HTTP/1.1\nhost: r.example\n\n", None).unwrap();
    let settings = &Settings::default();
    let scheme = &Scheme::of(preset, settings, secrets.clone()).unwrap();
    let url = &saved.url(None);
    let case = Case { scheme, settings, secrets, saved, url, now: NOW, published: &NoPublishedKeys };
    let explanation = explain(&case);
    assert!(explanation.text().ends_with("answers with 200; no event\n"), "{}", explanation.text());
    let json = serde_json::to_value(explanation.json()).unwrap();
    assert_eq!((&json["result"], &json["event"]), (&"valid".into(), &().into()));
}
