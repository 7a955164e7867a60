//! Finds and edits values in JSON text without reading the rest: a text that has one odd token keeps its
//! other values, and an edit leaves every byte that it is not about as it was. A parser gives neither. It
//! refuses the whole text for half of a surrogate pair in a key that nobody asked for, and what it read it
//! writes in its own words: `1.10` as `1.1`, integers of 23 digits as floats, keys in another order.

mod edit;
mod lossy;
mod pointer;
mod rewrite;
mod scan;

/// UTF-8's byte order mark, which RFC 8259 lets readers ignore.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// A text without its byte order mark.
pub fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(BOM).unwrap_or(text)
}

pub use edit::{Edit, EditError};
pub use lossy::lossy;
pub use pointer::Pointer;
pub use rewrite::Seen;
pub use scan::{Located, find};
