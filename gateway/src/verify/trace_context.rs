//! [W3C Trace Context](https://www.w3.org/TR/trace-context/), kept with the event so that a delivery
//! continues the sender's trace.

use http::HeaderMap;

use super::headers::single;

/// The longest `tracestate` that must be passed on.
const MAX_STATE: usize = 512;

/// `traceparent` and `tracestate`; empty where missing or malformed, as the standard asks.
pub(super) fn read(headers: &HeaderMap) -> (String, String) {
    match single(headers, "traceparent").ok().filter(|parent| is_parent(parent)) {
        None => Default::default(),
        Some(parent) => {
            let state = single(headers, "tracestate").ok().filter(|state| state.len() <= MAX_STATE);
            (parent.to_owned(), state.unwrap_or_default().to_owned())
        }
    }
}

fn is_parent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').take(5).collect();
    let [version, trace, span, flags] = parts[..] else {
        return false;
    };
    let hex =
        |part: &str, len| part.len() == len && part.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
    let zero = |part: &str| part.bytes().all(|c| c == b'0');
    let shaped = hex(version, 2) && hex(trace, 32) && hex(span, 16) && hex(flags, 2);
    shaped && version != "ff" && !zero(trace) && !zero(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_parents_are_kept() {
        assert!(is_parent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        ] {
            assert!(!is_parent(bad), "{bad}");
        }
    }
}
