//! Reads the values of a body that a scheme needs.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::Failure;

/// Returns the string or number at a JSON pointer, as text. Only that value is parsed, so an odd token
/// elsewhere does not matter.
///
/// # Errors
/// If there is no value, or it is neither a string nor a number.
pub(crate) fn text(body: &[u8], pointer: &str) -> Result<String, Failure> {
    let missing = || Failure::missing(format!("{pointer} in the body"));
    let parsed = floodgate_json::Pointer::parse(pointer).ok_or_else(missing)?;
    let located = floodgate_json::find(body, [Some(&parsed)]);
    let [range] = located.values;
    let value = &body[range.ok_or_else(missing)?];
    let malformed = || Failure::malformed(format!("{pointer} in the body"), "a string or a number");
    match serde_json::from_slice(value).map_err(|_| malformed())? {
        serde_json::Value::String(text) => Ok(text),
        serde_json::Value::Number(number) => Ok(number.to_string()),
        _ => Err(malformed()),
    }
}

/// Parses a body that has its signature inside. A field that occurs twice is refused, because it would be
/// unclear which one counts.
///
/// # Errors
/// If the body does not have this form. The error leaves out the parser's message, which would quote the
/// body.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8], expected: &'static str) -> Result<T, Failure> {
    let text = floodgate_json::without_bom(body);
    serde_json::from_slice(text).map_err(|_| Failure::malformed("the body", expected))
}

/// A list of one to `N` elements. An empty list has nothing to verify. A longer list is refused while it is
/// parsed, before it takes memory.
#[derive(Debug)]
pub(crate) struct Batch<T, const N: usize>(Vec<T>);

impl<T, const N: usize> Batch<T, N> {
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for Batch<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Elements::<T, N>(PhantomData)).map(Self)
    }
}

struct Elements<T, const N: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for Elements<T, N> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of 1 to {N} elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut elements = vec![];
        while let Some(element) = list.next_element()? {
            if elements.len() == N {
                return Err(A::Error::invalid_length(N + 1, &self));
            }
            elements.push(element);
        }
        if elements.is_empty() { Err(A::Error::invalid_length(0, &self)) } else { Ok(elements) }
    }
}

/// An object of JSON, and nothing else. By itself serde also reads a list into the fields of a struct, in
/// their order. Then what is verified has no names, and nobody finds a field in it.
#[derive(Debug, Default)]
pub(crate) struct Object<T>(T);

impl<T> Deref for Object<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

struct Fields<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_no_list() {
        #[derive(Debug, Deserialize)]
        struct Point {
            x: u8,
            y: Option<u8>,
        }
        let read = |text: &str| read::<Object<Point>>(text.as_bytes(), "a point");
        let point = read(r#"{"x": 1, "z": [], "y": 2}"#).unwrap();
        assert_eq!((point.x, point.y), (1, Some(2)));
        for bad in ["[1, 2]", "[]", "{}", r#"{"x": 1, "x": 1}"#, "null", "1", r#"{"x": 1} 2"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_batch_has_a_first_and_a_last_element() {
        let read = |text: &str| read::<Batch<u8, 3>>(text.as_bytes(), "a batch").map(|batch| batch.0);
        assert_eq!(read("[1, 2, 3]"), Ok(vec![1, 2, 3]));
        assert_eq!(read("\u{feff}[1]"), Ok(vec![1]));
        for bad in ["[]", "[1, 2, 3, 4]", "{}", "[1] 2", "1"] {
            assert_eq!(read(bad), Err(Failure::malformed("the body", "a batch")), "{bad}");
        }
    }
}
