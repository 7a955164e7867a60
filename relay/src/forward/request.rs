//! What a consumer is sent.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use floodgate_event::proto::{Event, Header};
use floodgate_event::{EventId, standard_webhooks as standard};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::destination::Destination;

/// How the relay names itself.
const USER_AGENT: &str = concat!("floodgate/", env!("CARGO_PKG_VERSION"));
const EVENT_TYPE: HeaderName = HeaderName::from_static("floodgate-event-type");
const SOURCE: HeaderName = HeaderName::from_static("floodgate-source");
const REGION: HeaderName = HeaderName::from_static("floodgate-region");
const ATTEMPT: HeaderName = HeaderName::from_static("floodgate-attempt");

/// Headers that belong to one connection (RFC 9110 §7.6.1) or to the original request's framing.
const CONNECTION_HEADERS: [&str; 14] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "accept-encoding",
];

/// Only Floodgate speaks under these.
const RESERVED_PREFIXES: [&str; 2] = ["webhook-", "floodgate-"];

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
        let request = event.request.as_ref();
        let body = event.payload.clone().or_else(|| request?.raw.clone())?;

        let mut headers = HeaderMap::new();
        if let Some(request) = request.filter(|_| destination.original_headers) {
            append_foreign(&mut headers, &request.headers);
        }
        append_foreign(&mut headers, &event.added_headers);
        describe_body(&mut headers, event);
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.insert(EVENT_TYPE, text(&event.r#type));
        headers.insert(SOURCE, text(&event.source));
        headers.insert(REGION, text(&event.region));
        headers.insert(ATTEMPT, HeaderValue::from(number));
        sign(&mut headers, destination, &id.to_string(), unix_seconds(now), &body);
        Some(Self { headers, body })
    }
}

/// Content type as received. An encoding belongs to the bytes that were received, so it goes with those only.
fn describe_body(headers: &mut HeaderMap, event: &Event) {
    headers.remove(header::CONTENT_ENCODING);
    headers.remove(header::CONTENT_TYPE);
    if !event.content_type.is_empty() {
        headers.insert(header::CONTENT_TYPE, text(&event.content_type));
    }
    let Some(request) = event.request.as_ref().filter(|_| event.payload.is_none()) else {
        return;
    };
    for Header { name, value } in &request.headers {
        if let Ok(value) = HeaderValue::from_bytes(value)
            && name.eq_ignore_ascii_case(header::CONTENT_ENCODING.as_str())
        {
            headers.append(header::CONTENT_ENCODING, value);
        }
    }
}

/// A signature by each key, so that a consumer that knows only one of them can check it.
fn sign(headers: &mut HeaderMap, destination: &Destination, id: &str, timestamp: u64, body: &[u8]) {
    let signatures: Vec<_> = destination.keys.iter().map(|key| key.sign(id, timestamp, body)).collect();
    headers.insert(standard::ID_HEADER, text(id));
    headers.insert(standard::TIMESTAMP_HEADER, HeaderValue::from(timestamp));
    headers.insert(standard::SIGNATURE_HEADER, text(&signatures.join(" ")));
}

/// Header pairs that came from outside; what is not theirs to say is left out.
fn append_foreign(headers: &mut HeaderMap, pairs: &[Header]) {
    for pair in pairs {
        let name = HeaderName::from_bytes(pair.name.as_bytes());
        let value = HeaderValue::from_bytes(&pair.value);
        if let (Ok(name), Ok(value)) = (name, value)
            && may_pass(name.as_str())
        {
            headers.append(name, value);
        }
    }
}

fn may_pass(name: &str) -> bool {
    let reserved = RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    !reserved && !CONNECTION_HEADERS.contains(&name)
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
    use crate::destination::Subscription;

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
            held: None,
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

    #[test]
    fn original_headers_pass_where_asked_for() {
        let event = Event { payload: Some(Bytes::from_static(b"changed")), ..event() };
        let delivery = Delivery::new(&event, &destination(true), 1, SystemTime::now()).unwrap();
        assert_eq!(&*delivery.body, b"changed");
        let values = |name| delivery.headers.get_all(name).iter().collect::<Vec<_>>();
        assert_eq!(values("x-hub-signature-256"), ["sha256=aa"]);
        assert_eq!(values("x-twice"), ["a", "b"]);
        assert_eq!(values("content-type"), ["application/json"]);
        assert_eq!(values("webhook-id").len(), 1);
        for gone in ["host", "content-encoding"] {
            assert!(values(gone).is_empty(), "{gone}");
        }
    }

    #[test]
    fn an_event_without_a_body_cannot_be_delivered() {
        let event = Event { request: Some(Request::default()), ..event() };
        assert!(Delivery::new(&event, &destination(false), 1, SystemTime::now()).is_none());
    }
}
