//! Builds and signs the request that a consumer receives.
//!
//! It takes an event and its destination, and returns a request that is ready to be sent: the body, the
//! headers that Floodgate promises, and a Standard Webhooks signature by each of the destination's keys. The
//! `webhook-id` is the event's id, so it is the same for every attempt, also after a crash.

mod headers;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use floodgate_event::proto::Event;
use floodgate_event::{EventId, standard_webhooks as standard};
use floodgate_routes::Destination;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use self::headers::{append_added, append_original, values};

/// The `user-agent` of deliveries that do not carry the original one.
const USER_AGENT: &str = concat!("floodgate/", env!("CARGO_PKG_VERSION"));
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const EVENT_TYPE: HeaderName = HeaderName::from_static("floodgate-event-type");
const SOURCE: HeaderName = HeaderName::from_static("floodgate-source");
const REGION: HeaderName = HeaderName::from_static("floodgate-region");
const ATTEMPT: HeaderName = HeaderName::from_static("floodgate-attempt");

/// The headers and body of a request, signed.
#[derive(Debug)]
pub(crate) struct SignedRequest {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl SignedRequest {
    /// Builds the request of attempt `number`, from 1. Returns none if the event has no body to deliver.
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
        continue_trace(&mut headers, event);
        headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
        headers.insert(EVENT_TYPE, text(&event.r#type));
        headers.insert(SOURCE, text(&event.source));
        headers.insert(REGION, text(&event.region));
        headers.insert(ATTEMPT, HeaderValue::from(number));
        sign(&mut headers, destination, &id.to_string(), unix_seconds(now), &body.bytes);
        Some(Self { headers, body: body.bytes })
    }
}

/// The body that is sent, and where it comes from.
struct Body {
    bytes: Bytes,
    /// True if these are the bytes that were received, in the encoding that they had.
    is_raw: bool,
}

impl Body {
    /// Returns the body as the handlers left it, after content decoding. If the destination gets the original
    /// headers and no handler changed the body, it is sent in the encoding that the provider signed. None if
    /// the event has no body.
    fn of(event: &Event, original: bool) -> Option<Self> {
        let raw = event.request.as_ref().and_then(|request| request.raw.as_ref());
        let raw_is_wanted = event.payload.is_none() || (original && event.payload_is_raw_decoded);
        match (raw.filter(|_| raw_is_wanted), &event.payload) {
            (Some(raw), _) => Some(Self { bytes: raw.clone(), is_raw: true }),
            (None, Some(payload)) => Some(Self { bytes: payload.clone(), is_raw: false }),
            (None, None) => None,
        }
    }

    /// Adds the headers that describe the body. The content type is as the handlers left it; if they did not
    /// change it, it is sent byte for byte. The content encoding is sent only with the bytes that were
    /// received.
    fn describe(&self, headers: &mut HeaderMap, event: &Event) {
        let received = event.request.as_ref().map_or(&[][..], |request| &request.headers);
        let kept = |value: &HeaderValue| {
            event.content_type.is_empty() || event.content_type == String::from_utf8_lossy(value.as_bytes())
        };
        // The text of a content type has no bytes above 127. The headers of a handler or of the request may
        // have them.
        let of_handlers = values(&event.added_headers, &header::CONTENT_TYPE);
        let mut candidates = of_handlers.chain(values(received, &header::CONTENT_TYPE));
        if let Some(value) = candidates.find(kept) {
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
            // The HTTP client sends no length for an empty body, and some consumers require one (RFC 9110
            // §8.6).
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
        }
    }
}

/// Passes on the sender's trace, as [W3C Trace Context](https://www.w3.org/TR/trace-context/) asks of whoever
/// adds no span of its own. Headers that are there already stay: those of a handler, or the original ones.
fn continue_trace(headers: &mut HeaderMap, event: &Event) {
    if event.traceparent.is_empty() || headers.contains_key(&TRACEPARENT) {
        return;
    }
    headers.insert(TRACEPARENT, text(&event.traceparent));
    if !event.tracestate.is_empty() {
        headers.insert(TRACESTATE, text(&event.tracestate));
    }
}

/// Adds a signature by each key, so that a consumer that knows only one of them can check it.
fn sign(headers: &mut HeaderMap, destination: &Destination, id: &str, timestamp: u64, body: &[u8]) {
    let signatures: Vec<_> = destination.keys.iter().map(|key| key.sign(id, timestamp, body)).collect();
    headers.insert(standard::ID_HEADER, text(id));
    headers.insert(standard::TIMESTAMP_HEADER, HeaderValue::from(timestamp));
    headers.insert(standard::SIGNATURE_HEADER, text(&signatures.join(" ")));
}

/// Makes a header's value of any text. Characters that no header may hold become `?`.
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
mod tests;
