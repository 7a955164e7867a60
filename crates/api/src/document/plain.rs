//! Rewords the messages of the libraries that read documents for the author of a document, to whom a number
//! is no `u64` and an object no `struct`.

use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};

use super::Invalid;

/// The path of a field, as far as it is known.
pub(super) fn path(path: &Path) -> String {
    // If JSON ends too early or is malformed, the last part of the path has no name yet.
    if path.iter().any(|segment| matches!(segment, Segment::Unknown)) { String::new() } else { text(path) }
}

fn text(path: &Path) -> String {
    // The library writes the document as a whole as a dot.
    if path.iter().next().is_none() { String::new() } else { path.to_string() }
}

/// Says what is wrong with JSON text, or with a value in it.
pub(super) fn json(path: String, error: &serde_json::Error) -> Invalid {
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        Category::Data => Invalid::new(path, message(&error.to_string())),
        Category::Eof => {
            Invalid::new("", format!("not JSON: the text ends too early, at line {line} column {column}"))
        }
        Category::Syntax | Category::Io => Invalid::new("", format!("not JSON: {error}")),
    }
}

/// Replaces the names of Rust's types in a message of serde. The text is only shown, and nothing is decided
/// by it.
pub(super) fn message(text: &str) -> String {
    let text = text.replacen("unknown variant ", "unknown value ", 1);
    let Some((found, rest)) = text.rsplit_once(", expected ") else { return text };
    let (expected, place) = match rest.rsplit_once(" at line ") {
        Some((expected, place)) => (expected, format!(" at line {place}")),
        None => (rest, String::new()),
    };
    match words(expected) {
        Some(words) => format!("{found}, expected {words}{place}"),
        None => text,
    }
}

fn words(expected: &str) -> Option<&'static str> {
    Some(match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "u128" | "usize" => "a whole number of 0 or more",
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a nonzero u8" => "a whole number from 1 to 255",
        "a nonzero u16" => "a whole number from 1 to 65535",
        "a nonzero u32" => "a whole number from 1 to 4294967295",
        "a nonzero u64" | "a nonzero usize" => "a whole number of 1 or more",
        "a string" | "string" | "str" => "a text",
        "a boolean" => "`true` or `false`",
        "a sequence" => "a list",
        "a map" | "map" => "an object",
        "string or map" => "a text or an object",
        "a map with a single key" | "map with a single key" => "an object with one key",
        _ if expected.starts_with("struct ") => "an object",
        _ if expected.starts_with("enum ") => "one of the values that are allowed",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_put_into_words_and_places_kept() {
        let said = |text| message(text);
        assert_eq!(
            said("invalid type: string \"x\", expected u64 at line 1 column 9"),
            "invalid type: string \"x\", expected a whole number of 0 or more at line 1 column 9"
        );
        assert_eq!(
            said("invalid type: null, expected struct Verify"),
            "invalid type: null, expected an object"
        );
        assert_eq!(
            said("unknown variant `x`, expected `a` or `b`"),
            "unknown value `x`, expected `a` or `b`"
        );
        assert_eq!(said("missing field `url` at line 1 column 2"), "missing field `url` at line 1 column 2");
    }
}
