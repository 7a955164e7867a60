//! The memory of a request's head.

use http::request::Parts;

/// The bytes of any request: its task, its stream, and the state of its event.
const REQUEST_BYTES: usize = 4 * 1024;
/// The bytes of a header field beside its own: its entry in a map that grows by doubling, and in the event.
const FIELD_BYTES: usize = 192;

/// A field's colon and line end.
const LEAST_FIELD: usize = 3;
/// The spaces, the version and the end of a request line, and the line end after the last field.
const LEAST_LINE: usize = " ".len() + " HTTP/1.1\r\n".len() + "\r\n".len();

/// The bytes of a head, which arrived as `arrived` bytes, and of its copy in an event. In HTTP/1 each value and
/// the target keep all of the head in memory, with white space and whatever else is not in its parts.
pub(crate) fn cost(parts: &Parts, arrived: usize) -> usize {
    let text = text_bytes(parts);
    REQUEST_BYTES + arrived.max(text) + text + parts.headers.len() * FIELD_BYTES
}

/// The bytes of the texts in a head: the method, the target in full, and the names and values of fields.
pub(crate) fn text_bytes(parts: &Parts) -> usize {
    let fields = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    let uri = &parts.uri;
    let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
    let target = uri.path_and_query().map_or(0, |target| target.as_str().len());
    let scheme = uri.scheme_str().map_or(0, str::len);
    parts.method.as_str().len() + scheme + authority + target + fields.sum::<usize>()
}

/// The least bytes of this head in HTTP/1, so that no byte of the buffer that may belong to the next request
/// is taken for one of this.
pub(crate) fn wire_bytes(parts: &Parts) -> usize {
    let fields = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + LEAST_FIELD);
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    parts.method.as_str().len() + target + LEAST_LINE + fields.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn names_values_repeats_and_the_target_count() {
        let of = |request: http::request::Builder, arrived| {
            cost(&request.body(()).unwrap().into_parts().0, arrived) - REQUEST_BYTES
        };
        assert_eq!(of(Request::post("/abc"), 0), 2 * 8);
        assert_eq!(of(Request::post("https://host/abc"), 0), 2 * 17);
        let twice = || Request::post("/abc").header("x-name", "value").header("x-name", "value");
        assert_eq!(of(twice(), 0), 2 * (8 + 2 * 11) + 2 * FIELD_BYTES);
        assert_eq!(of(twice(), 20_000), 20_000 + 8 + 2 * 11 + 2 * FIELD_BYTES);
    }

    #[test]
    fn a_head_as_short_as_it_can_be_is_counted_whole() {
        let text = "POST /abc?d HTTP/1.1\r\nhost:a\r\nx-name:value\r\n\r\n";
        let request = Request::post("/abc?d").header("host", "a").header("x-name", "value");
        assert_eq!(wire_bytes(&request.body(()).unwrap().into_parts().0), text.len());
    }
}
