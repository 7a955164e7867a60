//! What names a [CloudEvent](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md) of version
//! 1.0.

use http::HeaderMap;
use percent_encoding::percent_decode;

use crate::Wrong;
use crate::names::{Names, is_name};

const VERSION: &str = "1.0";

/// The attributes that each event has, as headers.
const ID: &str = "ce-id";
const SOURCE: &str = "ce-source";
const TYPE: &str = "ce-type";
const SPEC_VERSION: &str = "ce-specversion";

/// Returns true if the headers have any of the attributes that each event has.
pub(crate) fn is_in(headers: &HeaderMap) -> bool {
    [SPEC_VERSION, ID, SOURCE, TYPE].iter().any(|name| headers.contains_key(*name))
}

/// Returns the id and the type of an event in structured mode.
pub(crate) fn of_json(names: &Names<'_>) -> Result<(String, String), Wrong> {
    if names.text("specversion").is_ok_and(|version| version == VERSION) {
        let source = names.text("source").map_err(|_| Wrong::Source("source"))?;
        return named((names.text("id")?, source, names.text("type")?), "source");
    }
    Err(Wrong::Version("specversion"))
}

/// Returns the id and the type of an event in binary mode.
pub(crate) fn of_headers(headers: &HeaderMap) -> Result<(String, String), Wrong> {
    if attribute(headers, SPEC_VERSION).is_ok_and(|version| version == VERSION) {
        let source = attribute(headers, SOURCE).map_err(|_| Wrong::Source(SOURCE))?;
        return named((attribute(headers, ID)?, source, attribute(headers, TYPE)?), SOURCE);
    }
    Err(Wrong::Version(SPEC_VERSION))
}

/// An id is unique only together with the source. A URI reference has no spaces, so the first space ends it.
fn named(
    (id, source, event_type): (String, String, String),
    name: &'static str,
) -> Result<(String, String), Wrong> {
    if source.contains(char::is_whitespace) {
        return Err(Wrong::Source(name));
    }
    Ok((format!("{source} {id}"), event_type))
}

/// Returns an attribute from its header, which must occur once. Quotes are taken off first, and then one
/// round of percent-encoding.
fn attribute(headers: &HeaderMap, name: &'static str) -> Result<String, Wrong> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(Wrong::Name(name)) };
    let decoded = percent_decode(&unquoted(value.as_bytes())).collect();
    let text = String::from_utf8(decoded).ok();
    text.filter(|text| is_name(text)).ok_or(Wrong::Name(name))
}

/// Returns what a quoted string stands for
/// ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110) section 5.6.4), and anything else as it is.
fn unquoted(value: &[u8]) -> Vec<u8> {
    let Some(quoted) = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) else {
        return value.to_vec();
    };
    let mut plain = Vec::with_capacity(quoted.len());
    let mut bytes = quoted.iter();
    while let Some(byte) = bytes.next() {
        plain.extend(if *byte == b'\\' { bytes.next() } else { Some(byte) });
    }
    plain
}
