//! Changes values in a text, and nothing else.

mod place;

use std::ops::Range;

use serde::Serialize;
use serde::de::DeserializeOwned;

use self::place::{places, with_comma};
use crate::error::EditError;
use crate::find::find;
use crate::rewrite::{self, Seen};
use crate::without_bom;

/// JSON text that is being edited. Bytes that no edit touches stay as they are: how numbers are written, the
/// order of keys, the space between them.
///
/// Places in the text are named by JSON pointers ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)) of at
/// most 100 tokens: `/customer/name`, `/items/0`. In a key, `~1` is `/` and `~0` is `~`.
///
/// ```
/// use floodgate_json::Edit;
///
/// let text = br#"{"total": 1.10, "customer": {"name": "Ada"}, "n": 12345678901234567890123}"#;
/// let mut order = Edit::new(text)?;
/// order.remove("/customer/name")?;
/// order.set("/region", &"eu")?;
/// let expected = r#"{"total": 1.10, "customer": {}, "n": 12345678901234567890123,"region":"eu"}"#;
/// assert_eq!(order.into_bytes(), expected.as_bytes());
/// # Ok::<(), floodgate_json::EditError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit(Vec<u8>);

impl Edit {
    /// Begins to edit a text. A byte order mark is removed.
    ///
    /// # Errors
    /// [`EditError::NotJson`] if the text is not one JSON value from its beginning to its end. The content of
    /// strings and numbers inside it is not checked.
    pub fn new(text: &[u8]) -> Result<Self, EditError> {
        let text = without_bom(text);
        // A pointer into it has the outermost values looked at one by one.
        let inside = place::pointer("/")?;
        if find(text, [Some(&inside)]).whole { Ok(Self(text.to_vec())) } else { Err(EditError::NotJson) }
    }

    /// Returns the value at a JSON pointer, read as a `T`. `None` if there is no value. Where a key is
    /// repeated, the last one counts.
    ///
    /// # Errors
    /// [`EditError::Value`] if there is a value and it is not a `T`; [`EditError::Pointer`] if `at` is not a
    /// pointer.
    pub fn get<T: DeserializeOwned>(&self, at: &str) -> Result<Option<T>, EditError> {
        let pointer = place::pointer(at)?;
        let [found] = find(&self.0, [Some(&pointer)]).values;
        let read = |range: Range<usize>| {
            serde_json::from_slice(&self.0[range])
                .map_err(|source| EditError::Value { at: at.to_owned(), source })
        };
        found.map(read).transpose()
    }

    /// Sets the value at a JSON pointer. It replaces the value that is there, or else becomes the last member
    /// of the object that the pointer leads into. Where a key is repeated, each one gets the value.
    ///
    /// # Errors
    /// [`EditError::Value`] if the value has no JSON form, [`EditError::NoObject`] if there is no object to
    /// hold it, and [`EditError::Pointer`] if `at` is not a pointer.
    pub fn set(&mut self, at: &str, value: &(impl Serialize + ?Sized)) -> Result<(), EditError> {
        let value =
            serde_json::to_vec(value).map_err(|source| EditError::Value { at: at.to_owned(), source })?;
        let places = places(&self.0, at)?;
        if places.is_empty() {
            return self.add(at, &value);
        }
        self.replace(places.into_iter().map(|place| (place.value, &value)));
        Ok(())
    }

    /// Sets a member of the outermost object, by its name as it is: `/` and `~` need no escape.
    ///
    /// # Errors
    /// [`EditError::Value`] if the value has no JSON form, and [`EditError::NoObject`] if the text is not an
    /// object.
    pub fn set_member(&mut self, name: &str, value: &(impl Serialize + ?Sized)) -> Result<(), EditError> {
        self.set(&format!("/{}", name.replace('~', "~0").replace('/', "~1")), value)
    }

    /// Removes the value at a JSON pointer, with its key and its comma. Where a key is repeated, all of them
    /// are removed: parsers differ in which one they take. Returns true if anything was removed.
    ///
    /// # Errors
    /// [`EditError::Pointer`] if `at` is not a pointer, or is the empty one: the whole text cannot be
    /// removed.
    pub fn remove(&mut self, at: &str) -> Result<bool, EditError> {
        if at.is_empty() {
            return Err(EditError::Pointer(String::new()));
        }
        let places = places(&self.0, at)?;
        for place in places.iter().rev() {
            let taken = with_comma(&self.0, place.member.clone());
            self.0.drain(taken);
        }
        Ok(!places.is_empty())
    }

    /// Calls `change` with every value, outer ones before those inside them. Where it returns a text, the
    /// value is replaced by that text, as a JSON string, and nothing inside it is visited. Returns true if
    /// any value was replaced.
    ///
    /// ```
    /// # use floodgate_json::Edit;
    /// let mut body = Edit::new(br#"{"a": [1.10, {"email": "a@b.c"}]}"#)?;
    /// body.rewrite(|value| (value.key == Some("email")).then(|| "-".to_owned()))?;
    /// assert_eq!(body.as_bytes(), br#"{"a": [1.10, {"email": "-"}]}"#);
    /// # Ok::<(), floodgate_json::EditError>(())
    /// ```
    ///
    /// # Errors
    /// [`EditError::NotJson`] if any part of the text is not JSON, because it may hold a value that `change`
    /// did not see. Nothing is replaced then.
    pub fn rewrite(&mut self, change: impl FnMut(Seen<'_>) -> Option<String>) -> Result<bool, EditError> {
        let changes = rewrite::changes(&self.0, change).ok_or(EditError::NotJson)?;
        let any = !changes.is_empty();
        // Text always has a JSON form.
        let json = |text: String| serde_json::to_vec(&text).unwrap_or_default();
        self.replace(changes.into_iter().map(|(range, text)| (range, json(text))));
        Ok(any)
    }

    /// Returns the text with all edits so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the text with all edits.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Puts bytes in the place of others, from the text's beginning on.
    fn replace(&mut self, changes: impl Iterator<Item = (Range<usize>, impl AsRef<[u8]>)>) {
        let (mut new, mut copied) = (Vec::with_capacity(self.0.len()), 0);
        for (range, bytes) in changes {
            new.extend_from_slice(&self.0[copied..range.start]);
            new.extend_from_slice(bytes.as_ref());
            copied = range.end;
        }
        new.extend_from_slice(&self.0[copied..]);
        self.0 = new;
    }

    /// Adds a member to each object that the pointer's beginning leads to.
    fn add(&mut self, at: &str, value: &[u8]) -> Result<(), EditError> {
        let no_object = || EditError::NoObject(at.to_owned());
        let (holder, key) = at.rsplit_once('/').ok_or_else(no_object)?;
        let holders = places(&self.0, holder)?;
        if holders.is_empty() || holders.iter().any(|place| self.0[place.value.start] != b'{') {
            return Err(no_object());
        }
        // Text always has a JSON form.
        let key = serde_json::to_vec(&key.replace("~1", "/").replace("~0", "~")).unwrap_or_default();
        let added: Vec<_> = holders
            .into_iter()
            .map(|place| {
                // Behind the last member, or the bracket.
                let inner = self.0[..place.value.end - 1].trim_ascii_end();
                let comma: &[u8] = if inner.last() == Some(&b'{') { b"" } else { b"," };
                (inner.len()..inner.len(), [comma, &key, b":", value].concat())
            })
            .collect();
        self.replace(added.into_iter());
        Ok(())
    }
}

impl From<Edit> for Vec<u8> {
    fn from(edit: Edit) -> Self {
        edit.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(text: &str) -> Edit {
        Edit::new(text.as_bytes()).unwrap()
    }

    fn text(edit: Edit) -> String {
        String::from_utf8(edit.into_bytes()).unwrap()
    }

    #[test]
    fn other_bytes_stay_as_they_are() {
        let mut body =
            edit("{ \"z\": 117.63331139400017,\n\t\"a\": 12345678901234567890123, \"s\": \"\\ud83d\" }");
        body.set("/a", &1).unwrap();
        body.set("/new", &"x").unwrap();
        assert_eq!(
            text(body),
            "{ \"z\": 117.63331139400017,\n\t\"a\": 1, \"s\": \"\\ud83d\",\"new\":\"x\" }"
        );
        let trap = r#"{"v":{"$serde_json::private::Number":"5"},"w":{"$serde_json::private::RawValue":"6"}}"#;
        let mut body = edit(trap);
        body.set("/r", &"eu").unwrap();
        assert_eq!(text(body), trap.replace("}}", "},\"r\":\"eu\"}"));
    }

    #[test]
    fn members_go_with_one_comma() {
        for (before, pointer, after) in [
            (r#"{"a": 1, "b": 2, "c": 3}"#, "/a", r#"{"b": 2, "c": 3}"#),
            (r#"{"a": 1, "b": 2, "c": 3}"#, "/b", r#"{"a": 1, "c": 3}"#),
            (r#"{"a": 1, "b": 2 , "c": 3 }"#, "/c", r#"{"a": 1, "b": 2  }"#),
            (r#"{ "a": 1 }"#, "/a", r#"{  }"#),
            ("[1,2,3]", "/2", "[1,2]"),
            (r#"{"c":0,"a":1,"c":2,"c":3}"#, "/c", r#"{"a":1}"#),
            (r#"{"c":0,"c":1}"#, "/c", "{}"),
            (r#"{"d":{"c":0},"d":{"x":1,"c":2}}"#, "/d/c", r#"{"d":{},"d":{"x":1}}"#),
        ] {
            let mut body = edit(before);
            assert!(body.remove(pointer).unwrap());
            assert_eq!(text(body), after, "{before} without {pointer}");
        }
        assert!(!edit("{}").remove("/a").unwrap());
    }

    #[test]
    fn values_are_read_set_and_added() {
        let mut body = edit(r#"{"a": {"b": [1, 2]}, "k": 1, "k": 2}"#);
        assert_eq!(body.get::<u64>("/a/b/1").unwrap(), Some(2));
        assert_eq!(body.get::<u64>("/none").unwrap(), None);
        assert!(matches!(body.get::<u64>("/a"), Err(EditError::Value { .. })));
        body.set("/k", &3).unwrap();
        body.set("/a/b/0", &"x").unwrap();
        body.set("/a/~1~0", &true).unwrap();
        assert!(matches!(body.set("/none/x", &1), Err(EditError::NoObject(_))));
        assert!(matches!(body.set("/k/x", &1), Err(EditError::NoObject(_))));
        assert_eq!(text(body), r#"{"a": {"b": ["x", 2],"/~":true}, "k": 3, "k": 3}"#);
        assert!(matches!(edit("[1]").set_member("a", &1), Err(EditError::NoObject(_))));
        let mut odd = edit("{}");
        odd.set_member("a/~\"é", &1).unwrap();
        assert_eq!(text(odd), r#"{"a/~\"é":1}"#);
        let mut empty = edit("{ }");
        empty.set("/a", &1).unwrap();
        assert_eq!(text(empty), r#"{"a":1 }"#);
    }

    #[test]
    fn what_is_not_json_from_end_to_end_is_refused() {
        for bad in [
            "",
            "a=b",
            "NaN",
            "3 4",
            "\"x",
            "\"x\" y",
            "{",
            "{\"a\":1",
            "{\"a\":1} x",
            "{\"a\" 1}",
            "{'a':1}",
            "[1,]x",
        ] {
            assert!(matches!(Edit::new(bad.as_bytes()), Err(EditError::NotJson)), "{bad}");
        }
        assert_eq!(Edit::new(b"\xef\xbb\xbf{}").unwrap().as_bytes(), b"{}");
    }

    #[test]
    fn a_single_text_or_number_is_a_document_too() {
        for (before, after) in [
            ("\"x\"", "\"-\""),
            (" \"\\ud83d\"\n", " \"-\"\n"),
            ("5", "5"),
            (" null ", " null "),
            ("117.63331139400017", "117.63331139400017"),
        ] {
            let mut body = edit(before);
            body.rewrite(|value| value.text.map(|_| "-".to_owned())).unwrap();
            assert!(matches!(body.set_member("a", &1), Err(EditError::NoObject(_))), "{before}");
            assert_eq!((body.get::<u64>("/a").unwrap(), body.remove("/a").unwrap()), (None, false));
            assert_eq!(text(body), after);
        }
        assert!(matches!(edit("\"a\nb\"").rewrite(|_| None), Err(EditError::NotJson)));
    }

    #[test]
    fn every_value_is_shown_and_what_cannot_be_is_refused() {
        let mut seen = Vec::new();
        let mut body = edit(r#"{"a": [], "b": [{"\u0063": "\ud83d"}, null, {}], "d": {"e": 1}}"#);
        let changed = body.rewrite(|value| {
            seen.push((value.key.map(str::to_owned), value.text.map(str::to_owned), value.is_null));
            None
        });
        assert!(!changed.unwrap());
        let named = |key: &str| (Some(key.to_owned()), None, false);
        let c = (Some("c".to_owned()), Some("\u{fffd}".to_owned()), false);
        let (root, item, null) = ((None, None, false), (None, None, false), (None, None, true));
        let d = [named("d"), named("e")];
        let first = [root, named("a"), named("b"), item.clone(), c, null, item];
        assert_eq!(seen, first.into_iter().chain(d).collect::<Vec<_>>());
        for bad in ["{\"a\": NaN}", "[\"a\nb\"]", "{\"x\": [{\"a\" 1}]}", "[[1, 2}]", "[{\"a\nb\": 1}]"] {
            assert!(matches!(edit(bad).rewrite(|_| None), Err(EditError::NotJson)), "{bad}");
        }
    }

    proptest::proptest! {
        /// Edits of JSON give JSON, and the value that a parser would have made of it.
        #[test]
        fn an_edit_agrees_with_a_parser(
            members in proptest::collection::btree_map("[a-c\"é]{1,2}", proptest::prelude::any::<u32>(), 0..5),
            key in "[a-c\"é]{1,2}",
            pretty: bool,
        ) {
            let mut value: serde_json::Map<String, serde_json::Value> =
                members.into_iter().map(|(key, number)| (key, number.into())).collect();
            let to_text = if pretty { serde_json::to_vec_pretty } else { serde_json::to_vec };
            let mut body = Edit::new(&to_text(&value).unwrap()).unwrap();
            body.set(&format!("/{key}"), &"new").unwrap();
            value.insert(key.clone(), "new".into());
            proptest::prop_assert_eq!(&serde_json::from_slice::<serde_json::Map<_, _>>(body.as_bytes()).unwrap(), &value);
            body.remove(&format!("/{key}")).unwrap();
            value.remove(&key);
            proptest::prop_assert_eq!(&serde_json::from_slice::<serde_json::Map<_, _>>(body.as_bytes()).unwrap(), &value);
        }
    }
}
