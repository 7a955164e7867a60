//! [W3C Trace Context](https://www.w3.org/TR/trace-context/): which `traceparent` is well-formed.

/// The header of the sender's trace and span.
pub const PARENT: &str = "traceparent";

/// Returns the id of the trace in a `traceparent`. None if it is malformed.
pub fn trace_id(parent: &str) -> Option<&str> {
    let parts: Vec<&str> = parent.split('-').take(5).collect();
    let [version, trace, span, flags] = parts[..] else {
        return None;
    };
    let hex =
        |part: &str, len| part.len() == len && part.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
    let zero = |part: &str| part.bytes().all(|c| c == b'0');
    let shaped = hex(version, 2) && hex(trace, 32) && hex(span, 16) && hex(flags, 2);
    (shaped && version != "ff" && !zero(trace) && !zero(span)).then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_parents_have_a_trace() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(trace_id(good), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(trace_id(bad), None, "{bad}");
        }
    }
}
