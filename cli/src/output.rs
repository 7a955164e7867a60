//! What the client commands share: a small runtime, and text on stdout.
//!
//! Senders, handlers and consumers choose some of what is printed. All of it goes through [`print()`],
//! [`print_json`] or [`json_line`], which let nothing through that could steer a terminal or hide in one.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::ops::RangeInclusive;

use serde::Serialize;

use crate::exit::Failure;

/// Characters that are invisible although Unicode counts them among letters, signs and marks: joiners,
/// fillers of Hangul, the empty pattern of Braille, variation selectors.
const BLANKS: [RangeInclusive<char>; 9] = [
    '\u{34f}'..='\u{34f}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{e0100}'..='\u{e01ef}',
];

/// Runs a command that mostly waits.
pub(crate) fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::work)?;
    runtime.block_on(command)
}

/// Writes lines of text to stdout. A reader that has seen enough and closed the pipe is not a failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    write(&lines(text))
}

/// Writes a value as JSON to stdout.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    json_line(&serde_json::to_string_pretty(value).map_err(Failure::work)?)
}

/// Writes JSON to stdout unchanged, except for the characters in its strings that a terminal might act on.
pub(crate) fn json_line(json: &str) -> Result<(), Failure> {
    write(&format!("{}\n", escaped_json(json)))
}

fn write(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(Failure::work),
    }
}

/// Returns a text from outside as a part of one line. A character that is not visible by itself is written as
/// `\u{202e}`.
pub(crate) fn printable(text: &str) -> String {
    escaped(text, |_| false)
}

/// Returns a text from outside that may have several lines.
pub(crate) fn lines(text: &str) -> String {
    escaped(text, |c| matches!(c, '\n' | '\t'))
}

fn escaped(text: &str, may_stay: impl Fn(char) -> bool) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut safe, c| {
        if is_visible(c) || may_stay(c) {
            safe.push(c);
        } else {
            safe.extend(c.escape_default());
        }
        safe
    })
}

/// Outside of strings, JSON is visible ASCII and white space. So everything that is escaped here is part of a
/// string.
fn escaped_json(json: &str) -> String {
    json.chars().fold(String::with_capacity(json.len()), |mut safe, c| {
        if is_visible(c) || matches!(c, '\n' | '\r' | '\t') {
            safe.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(safe, "\\u{unit:04x}");
            }
        }
        safe
    })
}

/// Returns true if a character is visible, as itself and in its place. Those that Rust escapes in a debug
/// print are not: controls, marks of direction, zero widths, foreign spaces, tags, unassigned ones.
fn is_visible(c: char) -> bool {
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    // An accent is visible after a letter.
    let mut behind_a_letter = [b'a'; 5];
    let length = 1 + c.encode_utf8(&mut behind_a_letter[1..]).len();
    let plain =
        std::str::from_utf8(&behind_a_letter[..length]).is_ok_and(|text| text.escape_debug().count() == 2);
    plain && !BLANKS.iter().any(|range| range.contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A character of each kind that a terminal acts on or does not show.
    const HIDDEN: &str = "\u{0}\u{7}\u{8}\u{1b}\u{7f}\u{85}\u{9b}\u{a0}\u{ad}\u{34f}\u{61c}\u{115f}\u{180e}\u{200b}\u{200d}\
        \u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{206a}\u{2800}\u{3000}\u{3164}\u{fe0f}\
        \u{feff}\u{ffa0}\u{fff9}\u{1d173}\u{e0001}\u{e0061}\u{e0100}\u{f0000}";

    #[test]
    fn nothing_that_hides_or_steers_gets_through() {
        for c in HIDDEN.chars() {
            let text = printable(&format!("a{c}b"));
            assert!(text.is_ascii() && text.starts_with("a\\u{"), "{c:?}: {text}");
        }
        assert_eq!(printable("gpj\u{202e}\u{1b}[2J\r\n"), "gpj\\u{202e}\\u{1b}[2J\\r\\n");
        assert_eq!(lines("one\n\ttwo\r\n"), "one\n\ttwo\\r\n");
    }

    #[test]
    fn what_people_write_stays() {
        for text in [
            "order.paid",
            r#"C:\x "it's""#,
            "Zürich",
            "Zu\u{308}rich",
            "Приве́т",
            "你好",
            "नमस्ते",
            "مرحبا",
            "→ ≠ ½ 🎉",
        ] {
            assert_eq!(printable(text), text);
        }
    }

    #[test]
    fn json_means_the_same() {
        let value = serde_json::json!({"type": HIDDEN, "more": ["Zürich", "a\n\t\\\"b"]});
        for json in [serde_json::to_string_pretty(&value).unwrap(), value.to_string()] {
            let safe = escaped_json(&json);
            assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
            assert!(safe.chars().all(|c| is_visible(c) || c == '\n'), "{safe}");
        }
    }
}
