//! The generic scheme, as a source configures it.

use floodgate_event::scheme::{Settings, Template};
use floodgate_schemes::{Failure, InvalidSettings, Scheme};

use crate::support::{NOW, Sent, URL, post, scheme, settings, try_scheme};

#[test]
fn a_source_has_to_describe_its_signature() {
    let unset = try_scheme("signed", &Settings::default(), &["x"]).unwrap_err();
    assert!(matches!(unset, InvalidSettings::Needs { setting: "signature", .. }));
    let template = Template { content: "{timestamp}".to_owned(), ..Template::hmac_sha256("x-signature") };
    let bad = Settings { signature: Some(template), ..settings("signed") };
    let error = try_scheme("signed", &bad, &["x"]).unwrap_err();
    assert!(matches!(error, InvalidSettings::Setting { setting: "signature.content", .. }));
}

#[test]
fn a_described_signature_covers_what_it_says() {
    let ours = scheme("signed");
    let sent = post("{}").query("a=1").signed(&ours).unwrap();
    assert_eq!(sent.key(&ours), Ok("key-0"));
    let changed = [
        Sent { method: "PUT", ..sent.clone() },
        Sent { body: b"{ }".to_vec(), ..sent.clone() },
        sent.clone().query("a=2"),
        sent.clone().header("x-id", "msg_2"),
    ];
    for changed in changed {
        assert_eq!(changed.key(&ours), Err(Failure::NoMatch { keys: 1 }), "{changed:?}");
    }
    let late = Sent { now: NOW + 301, ..sent };
    assert!(matches!(late.key(&ours), Err(Failure::Stale { tolerance: 300, .. })));
}

/// The query is the sender's, so what is signed behind it must not be found in it.
#[test]
fn nothing_moves_between_a_url_and_what_follows_it() {
    let with = |content: &str, id: Option<&str>| {
        let id_header = id.map(str::to_owned);
        let template =
            Template { content: content.to_owned(), id_header, ..Template::hmac_sha256("x-signature") };
        try_scheme("signed", &Settings { signature: Some(template), ..settings("signed") }, &["x"])
    };
    let refused = |sent: &Sent, ours: &Scheme| {
        let failure = sent.key(ours).unwrap_err();
        assert!(matches!(failure, Failure::Malformed { .. }), "{sent:?}: {failure}");
    };
    assert!(with("{url}{id}.{body}", Some("x-id")).is_err());

    let ours = with("{url}.{id}.{body}", Some("x-id")).unwrap();
    let sent = post("v.{}").query("a=1").signed(&ours).unwrap();
    assert_eq!(sent.key(&ours), Ok("key-0"));
    let moved = Sent { body: b"{}".to_vec(), ..sent.clone() };
    refused(&moved.query("a=1.msg_1").header("x-id", "v"), &ours);
    let sent = post("{}").query("a=1.0").signed(&ours).unwrap();
    refused(&sent, &ours);

    let ours = with("{url}{body}", None).unwrap();
    let sent = post(r#"{"a":{"b":[]}}"#).query("a=1").signed(&ours).unwrap();
    assert_eq!(sent.key(&ours), Ok("key-0"));
    for (query, body) in [
        (r#"a=1{"a":"#, r#"{"b":[]}}"#),
        (r#"a=1{"a":{"b":"#, "[]}}"),
        (r#"a=1{"a":{"b":[]}}"#, ""),
        ("a=", r#"1{"a":{"b":[]}}"#),
        ("", r#"?a=1{"a":{"b":[]}}"#),
    ] {
        let moved = Sent { body: body.into(), ..sent.clone() };
        refused(
            &if query.is_empty() { Sent { url: URL.to_owned(), ..moved } } else { moved.query(query) },
            &ours,
        );
    }
    for clear in [post(""), post("").query("a=1"), post(" [1]"), post("{}").query("a=%5B")] {
        assert_eq!(clear.signed(&ours).unwrap().key(&ours), Ok("key-0"), "{clear:?}");
    }
}

/// If the separator has several characters, half of it may be a part of the id.
#[test]
fn an_id_ends_at_the_first_separator() {
    let template = Template {
        content: "{id}..{body}".to_owned(),
        id_header: Some("x-id".to_owned()),
        ..Template::hmac_sha256("x-signature")
    };
    let settings = Settings { signature: Some(template), ..Settings::default() };
    let ours = try_scheme("signed", &settings, &["x"]).unwrap();
    let sent = post(".{}").signed(&ours).unwrap();
    assert_eq!(sent.key(&ours), Ok("key-0"));
    let moved = Sent { body: b"{}".to_vec(), ..sent }.header("x-id", "msg_1.");
    assert!(matches!(moved.key(&ours), Err(Failure::Malformed { .. })));
}

#[test]
fn a_time_in_milliseconds_is_compared_in_milliseconds() {
    let ours = scheme("linear");
    let at = |milliseconds: u64| {
        post(format!(r#"{{"webhookTimestamp":{milliseconds}}}"#)).signed(&ours).unwrap().key(&ours).map(drop)
    };
    let stale = |seconds| Err(Failure::Stale { seconds, tolerance: 60 });
    assert_eq!(at(NOW * 1_000 + 60_000), Ok(()));
    assert_eq!(at(NOW * 1_000 - 60_000), Ok(()));
    assert_eq!(at(NOW * 1_000 + 60_001), stale(61));
    assert_eq!(at(NOW * 1_000 + 60_900), stale(61));
    assert_eq!(at(NOW * 1_000 - 60_001), stale(-61));
}

/// A scheme without a time has no tolerance either.
#[test]
fn a_signature_without_a_time_does_not_age() {
    let settings = Settings { signature: Some(Template::hmac_sha256("x-signature")), ..Settings::default() };
    let ours = try_scheme("signed", &settings, &["x"]).unwrap();
    let sent = post("{}").signed(&ours).unwrap();
    assert_eq!(Sent { now: NOW * 2, ..sent }.key(&ours), Ok("key-0"));
}
