//! Decides which headers of the original request, and which that handlers added, a consumer receives.

use floodgate_event::proto::Header;
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Headers that belong to one connection (RFC 9110 §7.6.1), or to the original request's framing and
/// authority. `accept-encoding` is about the answer, which Floodgate reads.
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

/// Prefixes of headers that only Floodgate sets. Handlers cannot add such headers. Those of the original
/// request are delivered as `floodgate-original-webhook-id` and so on.
const RESERVED_PREFIXES: [&str; 2] = ["webhook-", "floodgate-"];
/// The prefix that renames an original header whose name is reserved.
const ORIGINAL_PREFIX: &str = "floodgate-original-";

/// Appends the original request's headers, byte for byte and in order, except those of its connection and of
/// its body.
pub(super) fn append_original(headers: &mut HeaderMap, pairs: &[Header]) {
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

/// Appends the headers that handlers added, except those that handlers must not set.
pub(super) fn append_added(headers: &mut HeaderMap, pairs: &[Header]) {
    for (name, value) in pairs.iter().filter_map(pair) {
        let is_floodgates = is_reserved(&name) || name == header::USER_AGENT;
        if !is_floodgates && !describes_the_body(&name) && !CONNECTION_HEADERS.contains(&name) {
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

/// Adds the prefix of original headers. Returns none if the name gets too long.
fn renamed(name: &HeaderName) -> Option<HeaderName> {
    format!("{ORIGINAL_PREFIX}{name}").parse().ok()
}

/// Returns all values of a header, in order.
pub(super) fn values(pairs: &[Header], wanted: &HeaderName) -> impl Iterator<Item = HeaderValue> {
    let named = pairs.iter().filter(move |pair| pair.name.eq_ignore_ascii_case(wanted.as_str()));
    named.filter_map(|pair| HeaderValue::from_bytes(&pair.value).ok())
}

/// Returns the header names in a comma-separated value.
fn list(value: &HeaderValue) -> Vec<HeaderName> {
    let names = value.as_bytes().split(|&byte| byte == b',');
    names.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok()).collect()
}
