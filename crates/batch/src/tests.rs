//! What the events of a request are, and what is said of one that is not as it must be.

use std::convert::Infallible;

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const CLOUD: &str = r#""specversion": "1.0", "source": "/shop""#;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

fn sent(content_type: &str, body: &[u8]) -> Result<SentEvents, Unreadable<Infallible>> {
    read(&headers(&[("content-type", content_type)]), body, |_| Ok(()))
}

/// Bytes, id and type of each event.
fn seen<'b>(content_type: &str, body: &'b [u8]) -> Vec<(&'b str, String, String)> {
    let sent = sent(content_type, body).unwrap_or_else(|refusal| panic!("{refusal}"));
    let seen = sent.events.into_iter().map(|SentEvent { range, id, event_type }| {
        (std::str::from_utf8(&body[range]).unwrap(), id, event_type)
    });
    seen.collect()
}

fn refused(content_type: &str, body: impl AsRef<[u8]>) -> String {
    sent(content_type, body.as_ref()).unwrap_err().to_string()
}

fn binary(pairs: &[(&'static str, &str)]) -> Result<SentEvent, String> {
    let sent = read::<Infallible>(&headers(pairs), b"any \xff bytes", |_| Ok(()));
    sent.map(|mut sent| sent.events.remove(0)).map_err(|refusal| refusal.to_string())
}

#[test]
fn each_form_gives_its_events() {
    let (one, two) = (r#"{"id": "a", "type": "t", "n": 1.10}"#, r#"{"type":"u","id":"b"}"#);
    let pair = |text, id: &str, event_type: &str| (text, id.to_owned(), event_type.to_owned());
    let both = [pair(one, "a", "t"), pair(two, "b", "u")];
    let spaced = format!(" {one}\n");
    assert_eq!(seen("application/json", spaced.as_bytes()), [pair(&spaced, "a", "t")], "all of a single one");
    let array = format!(" [ {one} ,\n{two}]");
    assert_eq!(seen("Application/JSON; charset=\"UTF-8\"", array.as_bytes()), both);
    let lines = format!("\u{feff}{one}\r\n\n  {two} ");
    assert_eq!(seen("application/x-ndjson", lines.as_bytes()), both);

    let cloud = format!(r#"{{{CLOUD}, "id": "1 2", "type": "t"}}"#);
    assert_eq!(seen("application/cloudevents+json", cloud.as_bytes()), [pair(&cloud, "/shop 1 2", "t")]);
    let array = format!("[{cloud}]");
    assert_eq!(
        seen("application/cloudevents-batch+json", array.as_bytes()),
        [pair(&cloud, "/shop 1 2", "t")]
    );
    let is_batch = |media: &str, body: &str| sent(media, body.as_bytes()).unwrap().is_batch;
    assert!(is_batch("application/json", &format!("[{one}]")) && is_batch("application/x-ndjson", one));
    assert!(!is_batch("application/json", one) && !is_batch("application/cloudevents+json", &cloud));
}

#[test]
fn a_cloud_event_may_be_headers_and_any_body() {
    let all = [("ce-specversion", "1.0"), ("ce-id", "a"), ("ce-source", "/shop"), ("ce-type", "t")];
    let event = binary(&all).unwrap();
    assert_eq!((&*event.id, &*event.event_type, event.range), ("/shop a", "t", 0..11));
    for (encoded, decoded) in [
        ("Euro%20%E2%82%AC%20%f0%9F%98%80", "Euro € 😀"),
        ("100%2525", "100%25"),
        ("%zz%", "%zz%"),
        ("\"a \\\"quoted\\\" \\%41\"", "a \"quoted\" A"),
        ("a\"b", "a\"b"),
        ("caf\u{e9}", "caf\u{e9}"),
    ] {
        let event = binary(&[all[0], ("ce-id", encoded), all[2], all[3]]).unwrap();
        assert_eq!(event.id, format!("/shop {decoded}"), "{encoded}");
    }
    let media = |pairs: &[_]| Media::of(&headers(pairs));
    assert_eq!(media(&[("content-type", "application/json"), all[1]]), Ok(Media::CloudEventHeaders));
    assert_eq!(media(&[("content-type", "application/cloudevents+json"), all[1]]), Ok(Media::CloudEvent));
    for (bad, said) in [
        (vec![all[1], all[2], all[3]], "`ce-specversion`: expected `1.0`"),
        (vec![("ce-specversion", "0.3"), all[1], all[2], all[3]], "`ce-specversion`: expected `1.0`"),
        (vec![all[0], all[2], all[3]], "`ce-id`: expected a string"),
        (vec![all[0], all[1], all[1], all[2], all[3]], "`ce-id`: expected a string"),
        (vec![all[0], ("ce-id", "%ff"), all[2], all[3]], "`ce-id`: expected a string"),
        (vec![all[0], ("ce-id", "%00"), all[2], all[3]], "`ce-id`: expected a string"),
        (vec![all[0], all[1], ("ce-source", "my%20shop"), all[3]], "`ce-source`: expected a URI reference"),
        (vec![all[0], all[1], all[2]], "`ce-type`: expected a string"),
    ] {
        let refused = binary(&bad).unwrap_err();
        assert!(refused.contains(said), "{bad:?}: {refused}");
    }
}

/// Two pairs of `source` and `id` never make one id.
#[test]
fn source_and_id_do_not_run_into_each_other() {
    let of = |source: &str, id: &str| {
        binary(&[("ce-specversion", "1.0"), ("ce-id", id), ("ce-source", source), ("ce-type", "t")])
    };
    assert_ne!(of("a", "b%20c").unwrap().id, of("a%2520b", "c").unwrap().id);
    assert!(of("a%20b", "c").is_err());
}

#[test]
fn a_refusal_says_which_event_and_what_is_allowed() {
    let good = r#"{"id":"a","type":"t"}"#;
    let name = |name| format!("`{name}`: expected a string of 1 to 512 bytes, without control characters");
    let long = "x".repeat(MAX_NAME_BYTES + 1);
    for (bad, said) in [
        ("1".to_owned(), "expected a JSON object".to_owned()),
        (r#"{"type":"t"}"#.to_owned(), name("id")),
        (r#"{"id":7,"type":"t"}"#.to_owned(), name("id")),
        (r#"{"id":"","type":"t"}"#.to_owned(), name("id")),
        (r#"{"id":"\u0000","type":"t"}"#.to_owned(), name("id")),
        (r#"{"id":"\ud83d","type":"t"}"#.to_owned(), name("id")),
        (format!(r#"{{"id":"{long}","type":"t"}}"#), name("id")),
        (r#"{"id":"a","type":null}"#.to_owned(), name("type")),
        (format!(r#"{{"id":"a","type":"{long}"}}"#), name("type")),
    ] {
        assert!(refused("application/json", &bad).contains(&said), "{bad}");
        for (media, body) in [
            ("application/json", format!("[{good},{good},{bad},{good}]")),
            ("application/x-ndjson", format!("{good}\n{good}\n{bad}\n")),
        ] {
            assert!(refused(media, &body).contains(&format!("event 2: {said}")), "{body}");
        }
    }
    for (bad, said) in [
        (&b"[{\"id\":\"a\",\"type\":\"t\"},{]}]"[..], "event 1: not JSON: "),
        (b"[{\"id\":\"a\",\"type\":\"t\"}", "event 1: not a JSON array from byte 22 on"),
        (b"[{\"id\":\"a\",\"type\":\"\xe9\"}]", "event 0: expected UTF-8"),
        (b"[]", "no event: expected 1 to 1000"),
        (b"", "expected a JSON object"),
        (b"{\"id\":\"a\",\"type\":\"t\"} {}", "not JSON: "),
    ] {
        assert!(refused("application/json", bad).contains(said), "{}", refused("application/json", bad));
    }
    assert!(refused("application/x-ndjson", "\n \n").contains("no event"));
    let no_version = r#"[{"id":"a","type":"t","source":"/"}]"#;
    let batch = "application/cloudevents-batch+json";
    assert!(refused(batch, no_version).contains("event 0: `specversion`: expected `1.0`"));
    let spaced = no_version.replace("\"/\"", "\"a b\",\"specversion\":\"1.0\"");
    assert!(refused(batch, spaced).contains("event 0: `source`: expected a URI reference"));
}

#[test]
fn other_content_types_are_refused() {
    for refused in [
        &[][..],
        &[("content-type", "text/plain")],
        &[("content-type", "application/json; charset=iso-8859-1")],
        &[("content-type", "application/cloudevents+avro"), ("ce-id", "a")],
        &[("content-type", "application/json"), ("content-type", "application/json")],
    ] {
        assert_eq!(Media::of(&headers(refused)), Err(UnsupportedMedia), "{refused:?}");
    }
}

#[test]
fn a_batch_is_bounded_in_number_and_memory() {
    let batch = |events: usize| {
        let all = vec![r#"{"id":"a","type":"t"}"#; events];
        format!("[{}]", all.join(","))
    };
    assert_eq!(sent("application/json", batch(MAX_EVENTS).as_bytes()).unwrap().events.len(), MAX_EVENTS);
    let more = sent("application/json", batch(MAX_EVENTS + 1).as_bytes());
    assert_eq!(more, Err(Unreadable::TooMany));

    let (mut left, json) = (100 * EVENT_BYTES, headers(&[("content-type", "application/json")]));
    let hold = |bytes| left.checked_sub(bytes).map(|rest| left = rest).ok_or(());
    assert_eq!(read(&json, batch(100).as_bytes(), hold), Err(Unreadable::Memory(())));
    assert!(left < 10 * EVENT_BYTES, "{left}");
}

/// An event of any size, as some encoder might write it.
fn any_event() -> impl Strategy<Value = (String, String, String)> {
    let space = "[ \t]{0,2}";
    let name = "[a-z0-9é/😀]{1,12}";
    let member = prop_oneof![
        Just("-1.10e5"),
        Just("[1, {\"]\": \"}\"}]"),
        Just("\"\\\\\\\"\\u00e9,\""),
        Just("123456789012345678901234"),
        Just("null"),
    ];
    (name, name, space, member, any::<bool>()).prop_map(|(id, event_type, space, member, is_first)| {
        let names = format!("\"id\":{space}\"{id}\",{space}\"type\" : \"{event_type}\"");
        let text = match is_first {
            true => format!("{{{space}{names}, \"x\":{member}}}"),
            false => format!("{{\"x\" :{member},{names}{space}}}"),
        };
        (text, id, event_type)
    })
}

proptest! {
    #[test]
    fn what_is_joined_comes_apart_again(
        events in proptest::collection::vec(any_event(), 1..20), space in "[ \t\r]{0,2}"
    ) {
        let texts: Vec<&str> = events.iter().map(|(text, ..)| &**text).collect();
        let expected: Vec<_> =
            events.iter().map(|(text, id, event_type)| (&**text, id.clone(), event_type.clone())).collect();
        let array = format!("{space}[{space}{}\n]{space}", texts.join(&format!("{space},\n")));
        prop_assert_eq!(seen("application/json", array.as_bytes()), expected.clone());
        let lines = texts.join(&format!("{space}\n{space}"));
        prop_assert_eq!(seen("application/x-ndjson", lines.as_bytes()), expected);
    }

    #[test]
    fn the_event_that_is_cut_is_named(events in proptest::collection::vec(any_event(), 1..8), at: prop::sample::Index) {
        let index = at.index(events.len());
        let mut texts: Vec<String> = events.into_iter().map(|(text, ..)| text).collect();
        // Its last brace is missing.
        texts[index].pop();
        let said = format!("event {index}: ");
        prop_assert!(refused("application/x-ndjson", texts.join("\n")).contains(&said));
    }

    #[test]
    fn nothing_makes_it_panic(text in proptest::collection::vec(
        proptest::sample::select(&b"[]{},:\"\\ \nidtype1\xff"[..]), 0..60), media in 0_usize..4
    ) {
        let types = MEDIA_TYPES.split(", ").collect::<Vec<_>>();
        let _ = sent(types[media], &text);
    }
}
