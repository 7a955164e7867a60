//! Finds values by JSON pointers.

use std::ops::Range;

use crate::Pointer;
use crate::walk::{self, Place, Visit};

/// Where the values of a text are that pointers lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<const N: usize> {
    /// For each pointer the range of its value's bytes, quotes included. `None` if there is no such value.
    /// Where a key is repeated the last one counts, as in most parsers.
    pub values: [Option<Range<usize>>; N],
    /// True if the text is complete: it holds together to its end and has nothing after it. Values that are
    /// complete before the place where it breaks off are still found.
    pub whole: bool,
}

/// Finds the values that pointers lead to, in one pass over the text. A pointer that is `None` finds nothing.
///
/// The pass checks only what it needs to find values. A text with an odd token elsewhere, such as `NaN` or
/// bytes that are not UTF-8, still gives its values; the bytes of a value may be no JSON themselves.
///
/// ```
/// use floodgate_json::{Pointer, find};
///
/// let text = br#"{"id": "evt_1", "data": {"n": NaN}}"#;
/// let pointer = Pointer::parse("/id");
/// let [id] = find(text, [pointer.as_ref()]).values;
/// assert_eq!(id.map(|range| &text[range]), Some(&b"\"evt_1\""[..]));
/// ```
pub fn find<const N: usize>(text: &[u8], pointers: [Option<&Pointer>; N]) -> Located<N> {
    let mut last = Last([const { None }; N]);
    let whole = walk::walk(text, pointers, &mut last);
    Located { values: last.0, whole }
}

/// Keeps the last value of each pointer.
struct Last<const N: usize>([Option<Range<usize>>; N]);

impl<const N: usize> Visit for Last<N> {
    fn enter(&mut self, which: usize) {
        self.0[which] = None;
    }

    fn found(&mut self, which: usize, place: Place) {
        self.0[which] = Some(place.value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn one<'t>(pointer: &str, text: &'t [u8]) -> Option<&'t [u8]> {
        let pointer = Pointer::parse(pointer).unwrap();
        let [range] = find(text, [Some(&pointer)]).values;
        range.map(|range| &text[range])
    }

    #[test]
    fn values_are_found_wherever_they_stand() {
        let text = br#" {"a": [1, {"b/c": "x"}], "id": -7, "a~": "y", "deep": {"id": "no"}} "#;
        for (pointer, value) in [("/a/1/b~1c", &b"\"x\""[..]), ("/id", b"-7"), ("/a~0", b"\"y\"")] {
            assert_eq!(one(pointer, text), Some(value));
        }
        assert_eq!(one("", b" \"whole\" "), Some(&b"\"whole\""[..]));
        assert_eq!(one("/id", br#"{"\u0069d": 1}"#), Some(&b"1"[..]), "an escape in a key");
    }

    #[test]
    fn odd_tokens_elsewhere_do_not_hide_a_value() {
        for odd in [
            &b"{\"x\": \"\\ud83d\", \"id\": 1}"[..],
            b"{\"\\ud83d\": 0, \"id\": 1}",
            b"{\"caf\xe9\": \"\xe9\", \"id\": 1}",
            b"\xef\xbb\xbf{\"id\": 1}",
            b"{\"x\": NaN, \"id\": 1, \"y\": -Infinity}",
            b"{\"x\": \"a\nb\", \"id\": 1}",
            b"{\"x\": 1e999, \"id\": 1, \"y\": 01}",
            b"{\"id\": 1} and more",
            b"{\"id\": 1, \"x\": [[[",
        ] {
            assert_eq!(one("/id", odd), Some(&b"1"[..]), "{}", String::from_utf8_lossy(odd));
        }
    }

    #[test]
    fn the_last_of_a_repeated_key_counts() {
        assert_eq!(one("/id", br#"{"id": "a", "id": "b"}"#), Some(&b"\"b\""[..]));
        assert_eq!(one("/a/id", br#"{"a": {"id": "a"}, "a": {}}"#), None);
    }

    #[test]
    fn what_breaks_off_is_not_whole_and_what_was_cut_is_not_there() {
        let pointer = Pointer::parse("/id").unwrap();
        for (text, value) in [
            (&b"{\"id\": \"evt_1"[..], None),
            (b"{\"id\": 12", None),
            (b"{\"id\": \"x\"", None),
            (b"{\"id\"", None),
            (b"payload=%7B%7D", None),
            (b"", None),
            (b"{\"id\": 1]", Some(7..8)),
        ] {
            let found = find(text, [Some(&pointer)]);
            assert!(!found.whole, "{}", String::from_utf8_lossy(text));
            assert_eq!(found.values, [value], "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn nesting_takes_no_stack() {
        let deep = format!("{{\"x\": {}{}, \"id\": 1}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(one("/id", deep.as_bytes()), Some(&b"1"[..]));
        assert_eq!(Pointer::parse(&"/a".repeat(Pointer::MAX_TOKENS + 1)), None);
    }

    fn any_json() -> impl proptest::strategy::Strategy<Value = Value> {
        use proptest::prelude::*;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<i32>().prop_map(|half| Value::from(f64::from(half) / 2.0)),
            "[a\"\\\\/~é\u{1f600}\n]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let members = proptest::collection::btree_map("[a-b~/\"\\\\é]{0,2}", inner.clone(), 0..4);
            prop_oneof![
                proptest::collection::vec(inner, 0..4).prop_map(Value::from),
                members.prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest::proptest! {
        /// What serde_json finds in JSON, a scan finds too.
        #[test]
        fn a_scan_agrees_with_a_parser(value in any_json(), pointer in "(/[a-b0-1é]{0,2}(~0|~1)?){0,3}") {
            let text = serde_json::to_vec_pretty(&value).unwrap();
            let found = one(&pointer, &text).map(|found| serde_json::from_slice::<Value>(found).unwrap());
            proptest::prop_assert_eq!(found.as_ref(), value.pointer(&pointer));
        }

        #[test]
        fn nothing_makes_it_panic(text: Vec<u8>, pointer in "(/[a-b0]?){0,3}") {
            let _ = one(&pointer, &text);
        }
    }
}
