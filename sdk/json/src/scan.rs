//! One pass over a text for several pointers. Only what holds values together is looked at: brackets, commas,
//! colons and where strings end. So a scan passes over what a parser would refuse, such as bytes that are not
//! UTF-8.

use std::ops::Range;

use serde::de::IgnoredAny;

use crate::{Pointer, without_bom};

/// Where values stand in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<const N: usize> {
    /// The values' bytes, quotes included. Of a repeated key the last one counts, as in most parsers.
    pub values: [Option<Range<usize>>; N],
    /// True if the text holds together to its end and has nothing after it. Where it breaks off, what stands
    /// whole before that is still found.
    pub whole: bool,
}

/// Finds the values that pointers lead to.
pub fn find<const N: usize>(text: &[u8], pointers: [Option<&Pointer>; N]) -> Located<N> {
    let mut last = Last([const { None }; N]);
    let whole = walk(text, pointers, &mut last);
    Located { values: last.0, whole }
}

/// Takes what a walk comes by.
pub(crate) trait Visit {
    /// The pointer `which` leads on through a member of this name. It may lead through another of the same
    /// name later.
    fn enter(&mut self, _which: usize) {}

    /// The pointer `which` ends here.
    fn found(&mut self, which: usize, place: Place);
}

/// Where a value stands.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The value with its key, if it has one.
    pub(crate) member: Range<usize>,
    /// The value alone.
    pub(crate) value: Range<usize>,
}

struct Last<const N: usize>([Option<Range<usize>>; N]);

impl<const N: usize> Visit for Last<N> {
    fn enter(&mut self, which: usize) {
        self.0[which] = None;
    }

    fn found(&mut self, which: usize, place: Place) {
        self.0[which] = Some(place.value);
    }
}

/// Visits every place that a pointer leads to, repeated keys included. True if the text holds together.
pub(crate) fn walk<const N: usize>(
    text: &[u8],
    pointers: [Option<&Pointer>; N],
    visit: &mut impl Visit,
) -> bool {
    let mut scan = Scan::new(text);
    scan.space();
    let start = scan.at;
    let wanted = pointers.map(|pointer| pointer.map(Pointer::tokens));
    let ends = scan.value(start, wanted, visit).is_some();
    let value = start..scan.at;
    scan.space();
    ends && scan.at == text.len() && (scan.nested || is_json(&text[value]))
}

/// What a scan has not gone into may be no JSON at all, such as a form.
pub(crate) fn is_json(value: &[u8]) -> bool {
    matches!(value.first(), Some(b'{' | b'[' | b'"')) || serde_json::from_slice::<IgnoredAny>(value).is_ok()
}

/// What is left of the pointers that lead here.
type Wanted<'p, const N: usize> = [Option<&'p [String]>; N];

/// A place in a text. Its methods give `None` where the text breaks off.
pub(crate) struct Scan<'t> {
    text: &'t [u8],
    pub(crate) at: usize,
    /// Whether it has gone into an object or array.
    nested: bool,
}

impl<'t> Scan<'t> {
    pub(crate) fn new(text: &'t [u8]) -> Self {
        Self { text, at: text.len() - without_bom(text).len(), nested: false }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(crate) fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes a character after any space.
    pub(crate) fn take(&mut self, character: u8) -> bool {
        self.space();
        let there = self.peek() == Some(character);
        self.at += usize::from(there);
        there
    }

    /// A value and the members of it that are wanted. `from` is where its key begins, or itself.
    fn value<const N: usize>(
        &mut self,
        from: usize,
        wanted: Wanted<'_, N>,
        visit: &mut impl Visit,
    ) -> Option<()> {
        let (start, inside) = (self.at, self.nested);
        let leads_on = wanted.iter().flatten().any(|tokens| !tokens.is_empty());
        match self.peek()? {
            b'{' if leads_on => self.object(wanted, visit)?,
            b'[' if leads_on => self.array(wanted, visit)?,
            _ => self.skip()?,
        }
        // What the text's own end cuts off may have been longer: `12` of `123`.
        if inside && self.at == self.text.len() {
            return None;
        }
        let place = Place { member: from..self.at, value: start..self.at };
        for (which, tokens) in wanted.iter().enumerate() {
            if tokens.is_some_and(<[String]>::is_empty) {
                visit.found(which, place.clone());
            }
        }
        Some(())
    }

    fn object<const N: usize>(&mut self, wanted: Wanted<'_, N>, visit: &mut impl Visit) -> Option<()> {
        (self.at, self.nested) = (self.at + 1, true);
        if self.take(b'}') {
            return Some(());
        }
        loop {
            self.space();
            let from = self.at;
            self.string()?;
            let inner = through(wanted, Name::Key(&self.text[from..self.at]), visit);
            if !self.take(b':') {
                return None;
            }
            self.space();
            self.value(from, inner, visit)?;
            if !self.take(b',') {
                return self.take(b'}').then_some(());
            }
        }
    }

    fn array<const N: usize>(&mut self, wanted: Wanted<'_, N>, visit: &mut impl Visit) -> Option<()> {
        (self.at, self.nested) = (self.at + 1, true);
        if self.take(b']') {
            return Some(());
        }
        for index in 0.. {
            self.space();
            let inner = through(wanted, Name::Index(index), visit);
            self.value(self.at, inner, visit)?;
            if !self.take(b',') {
                break;
            }
        }
        self.take(b']').then_some(())
    }

    /// Passes over a value, however deep it is, without a stack.
    pub(crate) fn skip(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => self.string()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                _ if depth == 0 => self.scalar()?,
                _ => self.at += 1,
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// A number or a word, whatever it says.
    fn scalar(&mut self) -> Option<()> {
        let start = self.at;
        while let Some(byte) = self.peek()
            && !matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' | b'"' | b'{' | b'}' | b'[' | b']')
        {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    pub(crate) fn string(&mut self) -> Option<()> {
        if self.peek()? != b'"' {
            return None;
        }
        self.at += 1;
        loop {
            self.at += memchr::memchr2(b'"', b'\\', self.text.get(self.at..)?)?;
            if self.text[self.at] == b'"' {
                self.at += 1;
                return Some(());
            }
            self.at += 2;
        }
    }
}

/// What a value is called by in what holds it.
#[derive(Clone, Copy)]
enum Name<'t> {
    /// With its quotes.
    Key(&'t [u8]),
    Index(usize),
}

/// The pointers that lead on through the value of this name.
fn through<'p, const N: usize>(
    wanted: Wanted<'p, N>,
    name: Name<'_>,
    visit: &mut impl Visit,
) -> Wanted<'p, N> {
    let mut inner = [None; N];
    for (which, tokens) in wanted.iter().enumerate() {
        if let Some((first, rest)) = tokens.and_then(<[String]>::split_first)
            && name.is(first)
        {
            visit.enter(which);
            inner[which] = Some(rest);
        }
    }
    inner
}

impl Name<'_> {
    fn is(self, token: &str) -> bool {
        match self {
            Self::Key(quoted) => {
                let plain = &quoted[1..quoted.len() - 1];
                if memchr::memchr(b'\\', plain).is_none() {
                    return plain == token.as_bytes();
                }
                // No pointer leads through a key that is not text.
                serde_json::from_slice::<String>(quoted).is_ok_and(|key| key == token)
            }
            Self::Index(index) => token == index.to_string(),
        }
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
