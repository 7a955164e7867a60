//! Visits every value of a text.

use std::borrow::Cow;
use std::ops::Range;

use crate::lossy;
use crate::scan::{Scan, is_json};

/// A value of the text, as [`Edit::rewrite`](crate::Edit::rewrite) gives it to its callback. All fields are
/// empty for a number, a truth value, an object or an array that no object holds.
#[derive(Debug)]
pub struct Seen<'t> {
    /// The value's key. `None` for a value in an array, and for the outermost one.
    pub key: Option<&'t str>,
    /// The value, if it is a string, without quotes and escapes. Halves of surrogate pairs, and bytes that
    /// are not UTF-8, are U+FFFD.
    pub text: Option<&'t str>,
    /// True if the value is `null`.
    pub is_null: bool,
}

/// The values that `change` has a text for, each with that text. None if the text is not JSON, or has a
/// string that cannot be read.
pub(crate) fn changes(
    text: &[u8],
    mut change: impl FnMut(Seen<'_>) -> Option<String>,
) -> Option<Vec<(Range<usize>, String)>> {
    let (mut scan, mut found) = (Scan::new(text), Vec::new());
    // The brackets that are open, by what closes them: on the heap, as a text may have millions.
    let mut open = Vec::new();
    let mut key = None;
    loop {
        scan.space();
        let start = scan.at;
        let said = if scan.peek()? == b'"' { Some(string(&mut scan, text)?) } else { None };
        let is_null = text[start..].starts_with(b"null");
        scan.at = start;
        if let Some(new) = change(Seen { key: key.as_deref(), text: said.as_deref(), is_null }) {
            scan.skip()?;
            found.push((start..scan.at, new));
        } else if enter(&mut scan, text, &mut open)? {
            key = key_of(&mut scan, text, &open)?;
            continue;
        }
        if !leave(&mut scan, &mut open)? {
            scan.space();
            return (scan.at == text.len()).then_some(found);
        }
        key = key_of(&mut scan, text, &open)?;
    }
}

/// Returns true if the value has others in it, and moves before the first of them. Otherwise skips the value.
fn enter(scan: &mut Scan<'_>, text: &[u8], open: &mut Vec<u8>) -> Option<bool> {
    let start = scan.at;
    let close = match scan.peek()? {
        b'{' => b'}',
        b'[' => b']',
        _ => {
            scan.skip()?;
            return is_json(&text[start..scan.at]).then_some(false);
        }
    };
    scan.at += 1;
    if scan.take(close) {
        return Some(false);
    }
    open.push(close);
    Some(true)
}

/// Moves behind a value. Returns true if there is another one, and false at the end of the outermost.
fn leave(scan: &mut Scan<'_>, open: &mut Vec<u8>) -> Option<bool> {
    while let Some(close) = open.last() {
        if scan.take(b',') {
            return Some(true);
        }
        if !scan.take(*close) {
            return None;
        }
        open.pop();
    }
    Some(false)
}

/// The key of the value that comes next; none in an array.
fn key_of<'t>(scan: &mut Scan<'_>, text: &'t [u8], open: &[u8]) -> Option<Option<Cow<'t, str>>> {
    if open.last() != Some(&b'}') {
        return Some(None);
    }
    scan.space();
    let key = string(scan, text)?;
    scan.take(b':').then_some(Some(key))
}

fn string<'t>(scan: &mut Scan<'_>, text: &'t [u8]) -> Option<Cow<'t, str>> {
    let start = scan.at;
    scan.string()?;
    let quoted = &text[start..scan.at];
    if let Ok(plain) = serde_json::from_slice::<&str>(quoted) {
        return Some(plain.into());
    }
    let owned = serde_json::from_slice::<String>(quoted).ok();
    owned.or_else(|| serde_json::from_str(&lossy(quoted)?).ok()).map(Cow::Owned)
}
