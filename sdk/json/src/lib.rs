//! Finds and edits values in JSON text without parsing the rest. One odd token does not hide the other values
//! of a text, and an edit leaves every byte outside of it as it was.
//!
//! A parser gives neither. It refuses the whole text for half of a surrogate pair in a key that nobody asked
//! for. What it read it writes in its own way: `1.10` as `1.1`, integers of 23 digits as floats, keys in
//! another order.

mod edit;
mod error;
mod find;
mod items;
mod lossy;
mod pointer;
mod rewrite;
mod scan;
mod walk;

/// UTF-8's byte order mark, which RFC 8259 lets readers ignore.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Returns a text without the UTF-8 byte order mark that it may begin with.
pub fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(BOM).unwrap_or(text)
}

pub use edit::Edit;
pub use error::EditError;
pub use find::{Located, find};
pub use items::{Broken, Items, items};
pub use lossy::lossy;
pub use pointer::Pointer;
pub use rewrite::Seen;
