//! The members of a JSON object that name an event.

use std::sync::LazyLock;

use floodgate_json::{Pointer, find, without_bom};
use serde::de::IgnoredAny;

use crate::{MAX_NAME_BYTES, Wrong};

const NAMES: [&str; 4] = ["id", "type", "source", "specversion"];
static POINTERS: LazyLock<[Option<Pointer>; 4]> =
    LazyLock::new(|| NAMES.map(|name| Pointer::parse(&format!("/{name}"))));

/// Those members that an object has, each as its text.
pub(crate) struct Names<'t>([Option<&'t [u8]>; 4]);

impl<'t> Names<'t> {
    /// Checks that the text is an object, and finds the members.
    pub(crate) fn of(text: &'t [u8]) -> Result<Self, Wrong> {
        let text = without_bom(text);
        if text.trim_ascii_start().first() != Some(&b'{') {
            return Err(Wrong::NoObject);
        }
        if std::str::from_utf8(text).is_err() {
            return Err(Wrong::NotUtf8);
        }
        serde_json::from_slice::<IgnoredAny>(text).map_err(|error| Wrong::NotJson(error.to_string()))?;
        let values = find(text, POINTERS.each_ref().map(Option::as_ref)).values;
        Ok(Self(values.map(|range| range.map(|range| &text[range]))))
    }

    /// Returns a member that must be a string.
    pub(crate) fn text(&self, name: &'static str) -> Result<String, Wrong> {
        let place = NAMES.iter().position(|known| *known == name);
        let token = place.and_then(|place| self.0[place]).filter(|token| token.starts_with(b"\""));
        let text = token.and_then(|token| serde_json::from_slice::<String>(token).ok());
        text.filter(|text| is_name(text)).ok_or(Wrong::Name(name))
    }
}

/// Logs, pages and headers show names, so they have no control characters.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}
