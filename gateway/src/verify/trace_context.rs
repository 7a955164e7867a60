//! [W3C Trace Context](https://www.w3.org/TR/trace-context/), kept with the event so that a delivery
//! continues the sender's trace.

use floodgate_event::trace_context::{PARENT, trace_id};
use floodgate_schemes::single;
use http::HeaderMap;

/// The longest `tracestate` that must be passed on.
const MAX_STATE: usize = 512;

/// `traceparent` and `tracestate`; empty where missing or malformed, as the standard asks.
pub(super) fn read(headers: &HeaderMap) -> (String, String) {
    match single(headers, PARENT).ok().filter(|parent| trace_id(parent).is_some()) {
        None => Default::default(),
        Some(parent) => {
            let state = single(headers, "tracestate").ok().filter(|state| state.len() <= MAX_STATE);
            (parent.to_owned(), state.unwrap_or_default().to_owned())
        }
    }
}
