//! What a consumer is sent.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use floodgate_event::proto::{Event, Header};
use floodgate_event::{EventId, standard_webhooks as standard};
use floodgate_routes::Destination;
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// How the relay names itself.
const USER_AGENT: &str = concat!("floodgate/", env!("CARGO_PKG_VERSION"));
const EVENT_TYPE: HeaderName = HeaderName::from_static("floodgate-event-type");
const SOURCE: HeaderName = HeaderName::from_static("floodgate-source");
const REGION: HeaderName = HeaderName::from_static("floodgate-region");
const ATTEMPT: HeaderName = HeaderName::from_static("floodgate-attempt");

/// Headers that belong to one connection (RFC 9110 §7.6.1), or to the original request's framing and
/// authority. `accept-encoding` is about the answer, which is Floodgate's to read.
const CONNECTION_HEADERS: [HeaderName; 13] = [
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Only Floodgate speaks under these: handlers cannot add such headers, and those of the original request are
/// delivered as `floodgate-original-webhook-id` and so on.
const RESERVED_PREFIXES: [&str; 2] = ["webhook-", "floodgate-"];
/// What comes before the name of an original header that is Floodgate's to say.
const ORIGINAL_PREFIX: &str = "floodgate-original-";

/// A signed request's headers and body.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Delivery {
    /// Of an event, as attempt `number` (from 1). None if the event has no body to deliver.
    pub(crate) fn new(
        event: &Event,
        destination: &Destination,
        number: u32,
        now: SystemTime,
    ) -> Option<Self> {
        let id = EventId::try_from(&*event.id).ok()?;
        let original = event.request.as_ref().filter(|_| destination.original_headers);
        let body = Body::of(event, destination.original_headers)?;

        let mut headers = HeaderMap::new();
        if let Some(original) = original {
            append_original(&mut headers, &original.headers);
        }
        append_added(&mut headers, &event.added_headers);
        body.describe(&mut headers, event);
        headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
        headers.insert(EVENT_TYPE, text(&event.r#type));
        headers.insert(SOURCE, text(&event.source));
        headers.insert(REGION, text(&event.region));
        headers.insert(ATTEMPT, HeaderValue::from(number));
        sign(&mut headers, destination, &id.to_string(), unix_seconds(now), &body.bytes);
        Some(Self { headers, body: body.bytes })
    }
}

/// What is posted.
struct Body {
    bytes: Bytes,
    /// Whether these are the bytes that were received, in the encoding that they had.
    is_raw: bool,
}

impl Body {
    /// As the handlers left it, after content decoding. With the original headers, a body that no handler
    /// changed goes in the encoding that the provider signed. None if the event has no body.
    fn of(event: &Event, original: bool) -> Option<Self> {
        let raw = event.request.as_ref().and_then(|request| request.raw.as_ref());
        let raw_is_wanted = event.payload.is_none() || (original && event.payload_is_raw_decoded);
        match (raw.filter(|_| raw_is_wanted), &event.payload) {
            (Some(raw), _) => Some(Self { bytes: raw.clone(), is_raw: true }),
            (None, Some(payload)) => Some(Self { bytes: payload.clone(), is_raw: false }),
            (None, None) => None,
        }
    }

    /// Content type as the handlers left it; where they left it alone, byte for byte.
    /// An encoding belongs to the bytes that were received, so it goes with those only.
    fn describe(&self, headers: &mut HeaderMap, event: &Event) {
        let received = event.request.as_ref().map_or(&[][..], |request| &request.headers);
        let kept = |value: &HeaderValue| {
            event.content_type.is_empty() || event.content_type == String::from_utf8_lossy(value.as_bytes())
        };
        // Text has no place for bytes above 127: those stand in the headers, of a handler or of the request.
        let of_handlers = values(&event.added_headers, &header::CONTENT_TYPE);
        let mut said = of_handlers.chain(values(received, &header::CONTENT_TYPE));
        if let Some(value) = said.find(kept) {
            headers.insert(header::CONTENT_TYPE, value);
        } else if !event.content_type.is_empty() {
            headers.insert(header::CONTENT_TYPE, text(&event.content_type));
        }
        if self.is_raw {
            for value in values(received, &header::CONTENT_ENCODING) {
                headers.append(header::CONTENT_ENCODING, value);
            }
        }
        if self.bytes.is_empty() {
            // The client says nothing of a length where there is no body, and some consumers ask
            // for one (RFC 9110 §8.6).
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
        }
    }
}

/// All values of a header, in order.
fn values(pairs: &[Header], wanted: &HeaderName) -> impl Iterator<Item = HeaderValue> {
    let named = pairs.iter().filter(move |pair| pair.name.eq_ignore_ascii_case(wanted.as_str()));
    named.filter_map(|pair| HeaderValue::from_bytes(&pair.value).ok())
}

/// A signature by each key, so that a consumer that knows only one of them can check it.
fn sign(headers: &mut HeaderMap, destination: &Destination, id: &str, timestamp: u64, body: &[u8]) {
    let signatures: Vec<_> = destination.keys.iter().map(|key| key.sign(id, timestamp, body)).collect();
    headers.insert(standard::ID_HEADER, text(id));
    headers.insert(standard::TIMESTAMP_HEADER, HeaderValue::from(timestamp));
    headers.insert(standard::SIGNATURE_HEADER, text(&signatures.join(" ")));
}

/// The original request's headers, byte for byte and in order, but for those of its
/// connection and of its body.
fn append_original(headers: &mut HeaderMap, pairs: &[Header]) {
    let named_by_connection: Vec<_> =
        values(pairs, &header::CONNECTION).flat_map(|value| list(&value)).collect();
    for (name, value) in pairs.iter().filter_map(pair) {
        if describes_the_body(&name)
            || CONNECTION_HEADERS.contains(&name)
            || named_by_connection.contains(&name)
        {
            continue;
        }
        let name = if is_reserved(&name) { renamed(&name) } else { Some(name) };
        if let Some(name) = name {
            headers.append(name, value);
        }
    }
}

/// What handlers added; what is not theirs to say is left out.
fn append_added(headers: &mut HeaderMap, pairs: &[Header]) {
    for (name, value) in pairs.iter().filter_map(pair) {
        let is_ours = is_reserved(&name) || name == header::USER_AGENT;
        if !is_ours && !describes_the_body(&name) && !CONNECTION_HEADERS.contains(&name) {
            headers.append(name, value);
        }
    }
}

fn pair(pair: &Header) -> Option<(HeaderName, HeaderValue)> {
    Some((HeaderName::from_bytes(pair.name.as_bytes()).ok()?, HeaderValue::from_bytes(&pair.value).ok()?))
}

fn describes_the_body(name: &HeaderName) -> bool {
    *name == header::CONTENT_TYPE || *name == header::CONTENT_ENCODING
}

fn is_reserved(name: &HeaderName) -> bool {
    RESERVED_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix))
}

/// None for a name that is too long to be given a prefix.
fn renamed(name: &HeaderName) -> Option<HeaderName> {
    format!("{ORIGINAL_PREFIX}{name}").parse().ok()
}

/// The header names in a comma-separated value.
fn list(value: &HeaderValue) -> Vec<HeaderName> {
    let names = value.as_bytes().split(|&byte| byte == b',');
    names.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok()).collect()
}

/// A header's value from text that may hold anything: what no header may hold becomes `?`.
fn text(value: &str) -> HeaderValue {
    let safe =
        || value.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect::<String>();
    HeaderValue::from_str(value)
        .or_else(|_| HeaderValue::from_str(&safe()))
        .unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn unix_seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since: Duration| since.as_secs())
}

#[cfg(test)]
mod tests {
    use floodgate_event::proto::Request;
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
            unopened: None,
            paused: false,
            created: 0,
            put: 0,
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

    fn headers(delivery: &Delivery) -> Vec<(&str, &str)> {
        delivery.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect()
    }

    #[test]
    fn carries_what_the_interface_promises() {
        let now = UNIX_EPOCH + Duration::from_millis(1_614_265_330_999);
        let delivery = Delivery::new(&event(), &destination(false), 3, now).unwrap();
        assert_eq!(&*delivery.body, b"raw");
        let id = EventId::from([7; 16]).to_string();
        let keys = destination(false).keys;
        let signatures =
            keys.iter().map(|key| key.sign(&id, 1_614_265_330, b"raw")).collect::<Vec<_>>().join(" ");
        let mut found = headers(&delivery);
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
    fn delivered(pairs: &[(&str, &[u8])], raw: &'static [u8], rest: Event) -> Delivery {
        let pair = |&(name, value): &(&str, &[u8])| Header {
            name: name.to_owned(),
            value: Bytes::copy_from_slice(value),
        };
        let headers = pairs.iter().map(pair).collect();
        let request = Request { headers, raw: Some(Bytes::from_static(raw)), ..Request::default() };
        let event = Event { id: vec![7; 16], request: Some(request), ..rest };
        Delivery::new(&event, &destination(true), 1, SystemTime::now()).unwrap()
    }

    fn values_of<'a>(delivery: &'a Delivery, name: &str) -> Vec<&'a [u8]> {
        delivery.headers.get_all(name).iter().map(HeaderValue::as_bytes).collect()
    }

    #[test]
    fn original_headers_pass_where_asked_for() {
        let event = Event { payload: Some(Bytes::from_static(b"changed")), ..event() };
        let delivery = Delivery::new(&event, &destination(true), 1, SystemTime::now()).unwrap();
        assert_eq!(&*delivery.body, b"changed");
        assert_eq!(values_of(&delivery, "x-hub-signature-256"), [b"sha256=aa"]);
        assert_eq!(values_of(&delivery, "x-twice"), [b"a", b"b"]);
        assert_eq!(values_of(&delivery, "content-type"), [b"application/json"]);
        for gone in ["host", "content-encoding"] {
            assert!(values_of(&delivery, gone).is_empty(), "{gone}");
        }
    }

    #[test]
    fn what_floodgate_says_itself_is_passed_under_another_name() {
        let pairs: [(&str, &[u8]); 6] = [
            ("webhook-id", b"msg_1"),
            ("Webhook-Signature", b"v1,a v1,b"),
            ("webhook-signature", b"v1a,c"),
            ("webhook-version", b"2"),
            ("floodgate-source", b"forged"),
            ("user-agent", b"GitHub-Hookshot/1"),
        ];
        let rest = Event { source: "github".into(), ..Event::default() };
        let delivery = delivered(&pairs, b"{}", rest);
        let original = |name: &str| values_of(&delivery, &format!("floodgate-original-{name}"));
        assert_eq!(original("webhook-id"), [b"msg_1"]);
        assert_eq!(original("webhook-signature"), [&b"v1,a v1,b"[..], b"v1a,c"]);
        assert_eq!(original("webhook-version"), [b"2"]);
        assert_eq!(original("floodgate-source"), [b"forged"]);
        assert_eq!(values_of(&delivery, "floodgate-source"), [b"github"]);
        assert_eq!(values_of(&delivery, "user-agent"), [b"GitHub-Hookshot/1"]);
        let id = EventId::from([7; 16]).to_string();
        assert_eq!(values_of(&delivery, "webhook-id"), [id.as_bytes()]);
        assert_eq!(values_of(&delivery, "webhook-signature").len(), 1);
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
        let delivery = delivered(&pairs, b"{}", Event::default());
        let names: Vec<_> = delivery.headers.keys().map(HeaderName::as_str).take(3).collect();
        assert_eq!(names, ["x-b", "x-a", "x-c"]);
        assert_eq!(values_of(&delivery, "x-b"), [&b"1"[..], b"", b"1"]);
        assert_eq!(values_of(&delivery, "x-a"), [odd]);
        assert_eq!(values_of(&delivery, "content-type"), [b"text/plain; note=caf\xe9"]);
    }

    #[test]
    fn a_content_type_of_a_handler_keeps_its_bytes_too() {
        let odd = Header { name: "content-type".into(), value: Bytes::from_static(b"text/plain; a=\xe9") };
        let rest = Event {
            content_type: "text/plain; a=\u{fffd}".into(),
            added_headers: vec![odd],
            ..Event::default()
        };
        let delivery = delivered(&[("content-type", b"application/json")], b"{}", rest);
        assert_eq!(values_of(&delivery, "content-type"), [b"text/plain; a=\xe9"]);
    }

    #[test]
    fn headers_of_the_original_connection_stay_behind() {
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
        let delivery = delivered(&pairs, b"{}", Event::default());
        for name in names {
            assert!(values_of(&delivery, name).is_empty(), "{name}");
        }
    }

    #[test]
    fn a_body_that_no_handler_changed_goes_as_it_was_signed() {
        let encoded: [(&str, &[u8]); 1] = [("content-encoding", b"gzip")];
        let decoded = || Event { payload: Some(Bytes::from_static(b"{}")), ..Event::default() };
        let kept = delivered(&encoded, b"gzip of it", Event { payload_is_raw_decoded: true, ..decoded() });
        assert_eq!(
            (&*kept.body, values_of(&kept, "content-encoding")),
            (&b"gzip of it"[..], vec![&b"gzip"[..]])
        );
        let changed = delivered(&encoded, b"gzip of it", decoded());
        assert_eq!((&*changed.body, values_of(&changed, "content-encoding")), (&b"{}"[..], vec![]));
    }

    #[test]
    fn whoever_does_not_get_the_encoding_gets_the_decoded_body() {
        let event =
            Event { payload: Some(Bytes::from_static(b"{}")), payload_is_raw_decoded: true, ..event() };
        let delivery = Delivery::new(&event, &destination(false), 1, SystemTime::now()).unwrap();
        assert_eq!((&*delivery.body, delivery.headers.get("content-encoding")), (&b"{}"[..], None));
    }

    #[test]
    fn an_empty_body_has_a_length() {
        let delivery = delivered(&[], b"", Event::default());
        assert_eq!(values_of(&delivery, "content-length"), [b"0"]);
        assert!(values_of(&delivered(&[], b"x", Event::default()), "content-length").is_empty());
    }

    #[test]
    fn an_event_without_a_body_cannot_be_delivered() {
        let event = Event { request: Some(Request::default()), ..event() };
        assert!(Delivery::new(&event, &destination(false), 1, SystemTime::now()).is_none());
    }
}
