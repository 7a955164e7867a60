//! What a request's head takes.

use http::request::Parts;

/// What any request takes: its task, its stream, and the bookkeeping of its event.
const REQUEST_BYTES: usize = 4 * 1024;
/// What a header field takes besides its bytes: its place in a map that grows by doubling, and in the event.
const FIELD_BYTES: usize = 192;

/// Bytes that a head and its copy in an event take.
pub(crate) fn cost(parts: &Parts) -> usize {
    let fields = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    REQUEST_BYTES + 2 * (fields.sum::<usize>() + target) + parts.headers.len() * FIELD_BYTES
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn names_values_repeats_and_the_target_count() {
        let of =
            |request: http::request::Builder| cost(&request.body(()).unwrap().into_parts().0) - REQUEST_BYTES;
        assert_eq!(of(Request::post("/abc")), 2 * 4);
        let twice = Request::post("/abc").header("x-name", "value").header("x-name", "value");
        assert_eq!(of(twice), 2 * (4 + 2 * 11) + 2 * FIELD_BYTES);
    }
}
