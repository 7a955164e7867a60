use floodgate_event::proto::{Header, Request};
use floodgate_event::{Secret, schedule};

use super::*;
use floodgate_routes::Subscription;

const SECRETS: [&str; 2] =
    ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"];

fn destination(original_headers: bool) -> Destination {
    Destination {
        name: "shop".parse().unwrap(),
        url: "https://example.com/hook".parse().unwrap(),
        subscribe: Subscription::default(),
        keys: SECRETS.map(|secret| standard::Key::parse(&Secret::new(secret)).unwrap()).to_vec(),
        timeout: Duration::from_secs(15),
        concurrency: 1.try_into().unwrap(),
        rate_per_second: None,
        retry: schedule::RetrySchedule::default(),
        original_headers,
        enabled: true,
        secrets_error: None,
        paused: false,
        create_revision: 0,
        mod_revision: 0,
    }
}

fn pair(name: &str, value: &str) -> Header {
    Header { name: name.into(), value: Bytes::copy_from_slice(value.as_bytes()) }
}

fn event() -> Event {
    let headers = vec![
        pair("Host", "gateway"),
        pair("X-Hub-Signature-256", "sha256=aa"),
        pair("Webhook-Id", "forged"),
        pair("Content-Type", "text/plain"),
        pair("Content-Encoding", "gzip"),
        pair("X-Twice", "a"),
        pair("x-twice", "b"),
    ];
    Event {
        id: vec![7; 16],
        r#type: "push\n".into(),
        source: "github".into(),
        region: "eu".into(),
        content_type: "application/json".into(),
        added_headers: vec![pair("x-note", "1"), pair("floodgate-source", "forged")],
        request: Some(Request { headers, raw: Some(Bytes::from_static(b"raw")), ..Request::default() }),
        ..Event::default()
    }
}

fn headers(request: &SignedRequest) -> Vec<(&str, &str)> {
    request.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect()
}

#[test]
fn a_request_has_the_promised_headers_and_signatures() {
    let now = UNIX_EPOCH + Duration::from_millis(1_614_265_330_999);
    let request = SignedRequest::new(&event(), &destination(false), 3, now).unwrap();
    assert_eq!(&*request.body, b"raw");
    let id = EventId::from([7; 16]).to_string();
    let keys = destination(false).keys;
    let signatures =
        keys.iter().map(|key| key.sign(&id, 1_614_265_330, b"raw")).collect::<Vec<_>>().join(" ");
    let mut found = headers(&request);
    found.sort_unstable();
    let expected = [
        ("content-encoding", "gzip"),
        ("content-type", "application/json"),
        ("floodgate-attempt", "3"),
        ("floodgate-event-type", "push?"),
        ("floodgate-region", "eu"),
        ("floodgate-source", "github"),
        ("user-agent", USER_AGENT),
        ("webhook-id", &id),
        ("webhook-signature", &signatures),
        ("webhook-timestamp", "1614265330"),
        ("x-note", "1"),
    ];
    assert_eq!(found, expected);
}

/// Sent with these headers and bytes, to a consumer that wants the original headers.
fn delivered(pairs: &[(&str, &[u8])], raw: &'static [u8], rest: Event) -> SignedRequest {
    let pair = |&(name, value): &(&str, &[u8])| Header {
        name: name.to_owned(),
        value: Bytes::copy_from_slice(value),
    };
    let headers = pairs.iter().map(pair).collect();
    let request = Request { headers, raw: Some(Bytes::from_static(raw)), ..Request::default() };
    let event = Event { id: vec![7; 16], request: Some(request), ..rest };
    SignedRequest::new(&event, &destination(true), 1, SystemTime::now()).unwrap()
}

fn values_of<'a>(request: &'a SignedRequest, name: &str) -> Vec<&'a [u8]> {
    request.headers.get_all(name).iter().map(HeaderValue::as_bytes).collect()
}

#[test]
fn original_headers_are_sent_if_the_destination_asks_for_them() {
    let event = Event { payload: Some(Bytes::from_static(b"changed")), ..event() };
    let request = SignedRequest::new(&event, &destination(true), 1, SystemTime::now()).unwrap();
    assert_eq!(&*request.body, b"changed");
    assert_eq!(values_of(&request, "x-hub-signature-256"), [b"sha256=aa"]);
    assert_eq!(values_of(&request, "x-twice"), [b"a", b"b"]);
    assert_eq!(values_of(&request, "content-type"), [b"application/json"]);
    for gone in ["host", "content-encoding"] {
        assert!(values_of(&request, gone).is_empty(), "{gone}");
    }
}

#[test]
fn original_headers_with_reserved_names_are_renamed() {
    let pairs: [(&str, &[u8]); 6] = [
        ("webhook-id", b"msg_1"),
        ("Webhook-Signature", b"v1,a v1,b"),
        ("webhook-signature", b"v1a,c"),
        ("webhook-version", b"2"),
        ("floodgate-source", b"forged"),
        ("user-agent", b"GitHub-Hookshot/1"),
    ];
    let rest = Event { source: "github".into(), ..Event::default() };
    let request = delivered(&pairs, b"{}", rest);
    let original = |name: &str| values_of(&request, &format!("floodgate-original-{name}"));
    assert_eq!(original("webhook-id"), [b"msg_1"]);
    assert_eq!(original("webhook-signature"), [&b"v1,a v1,b"[..], b"v1a,c"]);
    assert_eq!(original("webhook-version"), [b"2"]);
    assert_eq!(original("floodgate-source"), [b"forged"]);
    assert_eq!(values_of(&request, "floodgate-source"), [b"github"]);
    assert_eq!(values_of(&request, "user-agent"), [b"GitHub-Hookshot/1"]);
    let id = EventId::from([7; 16]).to_string();
    assert_eq!(values_of(&request, "webhook-id"), [id.as_bytes()]);
    assert_eq!(values_of(&request, "webhook-signature").len(), 1);
}

#[test]
fn values_keep_their_bytes_and_their_order() {
    let odd: &[u8] = b"caf\xe9 \xff\t\"x\"";
    let pairs: [(&str, &[u8]); 6] = [
        ("x-b", b"1"),
        ("x-a", odd),
        ("X-B", b""),
        ("x-b", b"1"),
        ("content-type", b"text/plain; note=caf\xe9"),
        ("x-c", b"last"),
    ];
    let request = delivered(&pairs, b"{}", Event::default());
    let names: Vec<_> = request.headers.keys().map(HeaderName::as_str).take(3).collect();
    assert_eq!(names, ["x-b", "x-a", "x-c"]);
    assert_eq!(values_of(&request, "x-b"), [&b"1"[..], b"", b"1"]);
    assert_eq!(values_of(&request, "x-a"), [odd]);
    assert_eq!(values_of(&request, "content-type"), [b"text/plain; note=caf\xe9"]);
}

#[test]
fn a_content_type_of_a_handler_keeps_its_bytes_too() {
    let odd = Header { name: "content-type".into(), value: Bytes::from_static(b"text/plain; a=\xe9") };
    let rest =
        Event { content_type: "text/plain; a=\u{fffd}".into(), added_headers: vec![odd], ..Event::default() };
    let request = delivered(&[("content-type", b"application/json")], b"{}", rest);
    assert_eq!(values_of(&request, "content-type"), [b"text/plain; a=\xe9"]);
}

#[test]
fn headers_of_the_original_connection_are_not_sent() {
    let names = [
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-hop",
        "accept-encoding",
    ];
    let value = |name| if name == "connection" { &b"close, X-Hop ,"[..] } else { b"100" };
    let pairs = names.map(|name| (name, value(name)));
    let request = delivered(&pairs, b"{}", Event::default());
    for name in names {
        assert!(values_of(&request, name).is_empty(), "{name}");
    }
}

#[test]
fn a_body_that_no_handler_changed_is_sent_as_it_was_signed() {
    let encoded: [(&str, &[u8]); 1] = [("content-encoding", b"gzip")];
    let decoded = || Event { payload: Some(Bytes::from_static(b"{}")), ..Event::default() };
    let kept = delivered(&encoded, b"gzip of it", Event { payload_is_raw_decoded: true, ..decoded() });
    assert_eq!((&*kept.body, values_of(&kept, "content-encoding")), (&b"gzip of it"[..], vec![&b"gzip"[..]]));
    let changed = delivered(&encoded, b"gzip of it", decoded());
    assert_eq!((&*changed.body, values_of(&changed, "content-encoding")), (&b"{}"[..], vec![]));
}

#[test]
fn without_the_original_headers_the_body_is_decoded() {
    let event = Event { payload: Some(Bytes::from_static(b"{}")), payload_is_raw_decoded: true, ..event() };
    let request = SignedRequest::new(&event, &destination(false), 1, SystemTime::now()).unwrap();
    assert_eq!((&*request.body, request.headers.get("content-encoding")), (&b"{}"[..], None));
}

#[test]
fn an_empty_body_is_sent_with_a_length() {
    let request = delivered(&[], b"", Event::default());
    assert_eq!(values_of(&request, "content-length"), [b"0"]);
    assert!(values_of(&delivered(&[], b"x", Event::default()), "content-length").is_empty());
}

#[test]
fn an_event_without_a_body_cannot_be_delivered() {
    let event = Event { request: Some(Request::default()), ..event() };
    assert!(SignedRequest::new(&event, &destination(false), 1, SystemTime::now()).is_none());
}

#[test]
fn the_senders_trace_goes_on_and_what_a_handler_sets_stays() {
    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let trace = |event: &Event| {
        let request = SignedRequest::new(event, &destination(false), 1, UNIX_EPOCH).unwrap();
        ["traceparent", "tracestate"].map(|name| {
            let values = request.headers.get_all(name).iter();
            values.map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        })
    };
    let traced = Event { traceparent: PARENT.into(), tracestate: "a=b".into(), ..event() };
    assert_eq!(trace(&traced), [vec![PARENT.to_owned()], vec!["a=b".to_owned()]]);
    let stateless = Event { tracestate: String::new(), ..traced.clone() };
    assert_eq!(trace(&stateless), [vec![PARENT.to_owned()], vec![]]);
    let handled = Event { added_headers: vec![pair("traceparent", "its own")], ..traced };
    assert_eq!(trace(&handled), [vec!["its own".to_owned()], vec![]]);
    assert_eq!(trace(&event()), [vec![], vec![]] as [Vec<String>; 2]);
}
