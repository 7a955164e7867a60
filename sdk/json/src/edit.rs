//! Changes values in a text, and nothing else.

use std::fmt;
use std::ops::Range;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::rewrite::{self, Seen};
use crate::scan::{self, Place, Visit};
use crate::{Pointer, without_bom};

/// JSON text that is being edited. What no edit is about stays byte for byte: the spelling of numbers, the
/// order of keys, the space between them.
///
/// ```
/// use floodgate_json::Edit;
///
/// let mut order = Edit::new(br#"{"total": 1.10, "customer": {"name": "Ada"}, "n": 12345678901234567890123}"#)?;
/// order.remove("/customer/name")?;
/// order.set("/region", &"eu")?;
/// let expected = r#"{"total": 1.10, "customer": {}, "n": 12345678901234567890123,"region":"eu"}"#;
/// assert_eq!(order.into_bytes(), expected.as_bytes());
/// # Ok::<(), floodgate_json::EditError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit(Vec<u8>);

impl Edit {
    /// Begins with a text, whose byte order mark is left out if it has one.
    ///
    /// # Errors
    /// If it is not one JSON value from its beginning to its end.
    /// What its texts and numbers say is not looked at.
    pub fn new(text: &[u8]) -> Result<Self, EditError> {
        let text = without_bom(text);
        // A pointer into it has the outermost values looked at one by one.
        let inside = pointer("/")?;
        if scan::find(text, [Some(&inside)]).whole {
            Ok(Self(text.to_vec()))
        } else {
            Err(EditError::NotJson)
        }
    }

    /// The value at a JSON pointer, read as a `T`; none if there is no value. Of a repeated key the last one
    /// counts.
    ///
    /// # Errors
    /// If there is one, and it is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, at: &str) -> Result<Option<T>, EditError> {
        let pointer = pointer(at)?;
        let [found] = scan::find(&self.0, [Some(&pointer)]).values;
        let read = |range: Range<usize>| {
            serde_json::from_slice(&self.0[range])
                .map_err(|source| EditError::Value { at: at.to_owned(), source })
        };
        found.map(read).transpose()
    }

    /// Puts a value at a JSON pointer: in the place of the one that is there, or as the last member of the
    /// object that would hold it. Where a key is repeated, it stands at each of them afterwards.
    ///
    /// # Errors
    /// If the value has no JSON form, or no object is there to hold it.
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

    /// The same for a member of the document itself, by its name.
    ///
    /// # Errors
    /// If the value has no JSON form, or the document is an array.
    pub fn set_member(&mut self, name: &str, value: &(impl Serialize + ?Sized)) -> Result<(), EditError> {
        self.set(&format!("/{}", name.replace('~', "~0").replace('/', "~1")), value)
    }

    /// Takes away what stands at a JSON pointer, with its key; every one where a key is repeated, as readers
    /// differ in which of them they take. Says whether anything was there.
    ///
    /// # Errors
    /// If the pointer is none, or the empty one: a document is never nothing.
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

    /// Shows every value to `change`, outer ones before those within, and puts a text in the place of those
    /// that it has one for. Says whether there were any.
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
    /// If a part of the text is not JSON: then it may hold what was not shown.
    pub fn rewrite(&mut self, change: impl FnMut(Seen<'_>) -> Option<String>) -> Result<bool, EditError> {
        let changes = rewrite::changes(&self.0, change).ok_or(EditError::NotJson)?;
        let any = !changes.is_empty();
        // Text always has a JSON form.
        let json = |text: String| serde_json::to_vec(&text).unwrap_or_default();
        self.replace(changes.into_iter().map(|(range, text)| (range, json(text))));
        Ok(any)
    }

    /// The text as it is now.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text as it is now.
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

fn pointer(text: &str) -> Result<Pointer, EditError> {
    Pointer::parse(text).ok_or_else(|| EditError::Pointer(text.to_owned()))
}

/// All places that a pointer leads to, in the order of the text. None of them holds another.
fn places(text: &[u8], at: &str) -> Result<Vec<Place>, EditError> {
    struct All(Vec<Place>);
    impl Visit for All {
        fn found(&mut self, _which: usize, place: Place) {
            self.0.push(place);
        }
    }
    let pointer = pointer(at)?;
    let mut all = All(Vec::new());
    scan::walk(text, [Some(&pointer)], &mut all);
    Ok(all.0)
}

/// A member with the comma that would be left over without it: the one behind it, or, of the last member, the
/// one before.
fn with_comma(text: &[u8], member: Range<usize>) -> Range<usize> {
    let behind = &text[member.end..];
    let space = behind.len() - behind.trim_ascii_start().len();
    if behind.get(space) == Some(&b',') {
        let next = &behind[space + 1..];
        let gap = next.len() - next.trim_ascii_start().len();
        return member.start..member.end + space + 1 + gap;
    }
    let before = text[..member.start].trim_ascii_end();
    match before.last() {
        Some(b',') => before.len() - 1..member.end,
        _ => member,
    }
}

/// Why a text cannot be edited so.
#[derive(Debug)]
pub enum EditError {
    /// It is not JSON.
    NotJson,
    /// Not a JSON pointer, or one that cannot be edited at.
    Pointer(String),
    /// Nothing there holds members.
    NoObject(String),
    /// The value is another kind than was asked for, or cannot be written.
    Value {
        /// Where.
        at: String,
        /// Why.
        source: serde_json::Error,
    },
}

// By hand: each dependency of this crate is compiled with every handler.
impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson => f.write_str("not JSON"),
            Self::Pointer(at) => write!(f, "`{at}` is not a JSON pointer that can be edited at"),
            Self::NoObject(at) => write!(f, "there is no object that `{at}` could stand in"),
            Self::Value { at, source } => write!(f, "the value at `{at}`: {source}"),
        }
    }
}

impl std::error::Error for EditError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Value { source, .. } => Some(source),
            _ => None,
        }
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
