//! JSON pointers ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)), several in one pass and without building
//! the document: what no pointer leads to is skipped.

use std::fmt;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// How many pointers there are.
const COUNT: usize = 3;

/// Their values: strings as they are, integers of up to 64 bits in decimal.
pub(super) type Values = [Option<String>; COUNT];

/// Pointers, split into their tokens.
#[derive(Debug)]
pub(super) struct Pointers([Option<Vec<String>>; COUNT]);

impl Pointers {
    /// None if there is no pointer at all.
    pub(super) fn new(pointers: [Option<&str>; COUNT]) -> Option<Self> {
        let any = pointers.iter().any(Option::is_some);
        any.then(|| Self(pointers.map(|pointer| pointer.map(tokens))))
    }

    /// Finds what is there. Nothing, if the body is not JSON as a whole.
    pub(super) fn find(&self, body: &[u8]) -> Values {
        let mut values = Values::default();
        let mut json = serde_json::Deserializer::from_slice(body);
        let wanted = self.0.each_ref().map(|tokens| tokens.as_deref());
        let found = Node { wanted, values: &mut values }.deserialize(&mut json);
        if found.and_then(|()| json.end()).is_ok() { values } else { Values::default() }
    }
}

/// The empty pointer has no tokens and means the document itself.
fn tokens(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect()
}

/// A place in the document, with what is left of the pointers that lead through it.
struct Node<'a> {
    wanted: [Option<&'a [String]>; COUNT],
    values: &'a mut Values,
}

impl<'a> Node<'a> {
    /// The pointers that go on through the child `key`.
    fn through(&self, key: &str) -> [Option<&'a [String]>; COUNT] {
        self.wanted.map(|tokens| match tokens?.split_first()? {
            (first, rest) if first == key => Some(rest),
            _ => None,
        })
    }

    fn set(self, value: impl fmt::Display) {
        for (slot, tokens) in self.values.iter_mut().zip(self.wanted) {
            if tokens.is_some_and(<[String]>::is_empty) {
                *slot = Some(value.to_string());
            }
        }
    }

    /// Of a repeated key the last one counts, as in most parsers: what an earlier one left is forgotten.
    fn forget(values: &mut Values, wanted: &[Option<&[String]>; COUNT]) {
        for (slot, tokens) in values.iter_mut().zip(wanted) {
            if tokens.is_some() {
                *slot = None;
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.wanted.iter().all(Option::is_none) {
            return IgnoredAny::deserialize(deserializer).map(drop);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(wanted) = map.next_key_seed(Key(&self))? {
            Self::forget(self.values, &wanted);
            map.next_value_seed(Node { wanted, values: &mut *self.values })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        for index in 0_usize.. {
            let wanted = self.through(&index.to_string());
            if seq.next_element_seed(Node { wanted, values: &mut *self.values })?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.set(value);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.set(value);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.set(value);
        Ok(())
    }

    /// Not taken: integers past 64 bits come here as well, and two of them may round to the same number.
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A key, looked at where it stands, and turned into the pointers that go on through it.
struct Key<'n, 'a>(&'n Node<'a>);

impl<'de, 'a> DeserializeSeed<'de> for Key<'_, 'a> {
    type Value = [Option<&'a [String]>; COUNT];

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Key<'_, 'a> {
    type Value = [Option<&'a [String]>; COUNT];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.through(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(pointers: [Option<&str>; COUNT], body: &str) -> [Option<String>; COUNT] {
        Pointers::new(pointers).unwrap().find(body.as_bytes())
    }

    fn one(pointer: &str, body: &str) -> Option<String> {
        find([Some(pointer), None, None], body)[0].clone()
    }

    #[test]
    fn values_are_found_wherever_they_stand() {
        let body = r#" {"a": [1, {"b/c": "x"}], "id": -7, "a~": "y", "deep": {"id": "no"}} "#;
        let found = find([Some("/a/1/b~1c"), Some("/id"), Some("/a~0")], body);
        assert_eq!(found.map(Option::unwrap), ["x", "-7", "y"]);
        assert_eq!(one("", "\"whole\"").as_deref(), Some("whole"));
    }

    #[test]
    fn only_strings_and_exact_numbers_count() {
        let others =
            [r#"{"id": null}"#, r#"{"id": true}"#, r#"{"id": {}}"#, r#"{"id": ["x"]}"#, r#"{}"#, "[]", "3"];
        let rounded = [r#"{"id": 1.5}"#, r#"{"id": 123456789012345678901}"#];
        for body in others.into_iter().chain(rounded) {
            assert_eq!(one("/id", body), None, "{body}");
        }
    }

    #[test]
    fn the_last_of_a_repeated_key_counts() {
        assert_eq!(one("/id", r#"{"id": "a", "id": "b"}"#).as_deref(), Some("b"));
        assert_eq!(one("/a/id", r#"{"a": {"id": "a"}, "a": {}}"#), None);
    }

    #[test]
    fn what_is_not_json_has_no_values() {
        for body in
            ["", "payload=%7B%7D", r#"{"id": "a""#, r#"{"id": "a"} x"#, "{\"id\": \"a\", \"x\": \"\u{1}\"}"]
        {
            assert_eq!(one("/id", body), None, "{body}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        assert_eq!(one("/id", &format!("{{\"id\": \"a\", \"x\": {}", "[".repeat(1_000_000))), None);
    }
}
