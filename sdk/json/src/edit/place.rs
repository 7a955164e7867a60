//! What an edit takes away or replaces: all places of a pointer, and a member with its comma.

use std::ops::Range;

use crate::error::EditError;
use crate::pointer::Pointer;
use crate::walk::{self, Place, Visit};

pub(super) fn pointer(text: &str) -> Result<Pointer, EditError> {
    Pointer::parse(text).ok_or_else(|| EditError::Pointer(text.to_owned()))
}

/// All places that a pointer leads to, in the order of the text. None of them holds another.
pub(super) fn places(text: &[u8], at: &str) -> Result<Vec<Place>, EditError> {
    struct All(Vec<Place>);
    impl Visit for All {
        fn found(&mut self, _which: usize, place: Place) {
            self.0.push(place);
        }
    }
    let pointer = pointer(at)?;
    let mut all = All(Vec::new());
    walk::walk(text, [Some(&pointer)], &mut all);
    Ok(all.0)
}

/// A member with the comma that would be left over without it: the one behind it, or, of the last member, the
/// one before.
pub(super) fn with_comma(text: &[u8], member: Range<usize>) -> Range<usize> {
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
