//! The lines that a handler writes.

use crate::bindings::log as wit;

/// The most lines of one event that are kept.
pub(crate) const MAX_LINES: usize = 32;
/// The most bytes of a panic's reason that are kept.
const MAX_PANIC_BYTES: usize = 1024;
/// The most bytes of one event's lines that are kept.
pub(crate) const MAX_BYTES: usize = 8 * 1024;

/// The level of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Single steps of the handler.
    Trace,
    /// What helps the author of the handler.
    Debug,
    /// What is worth knowing about an event.
    Info,
    /// Something is unusual, and the handler copes with it.
    Warn,
    /// Something is wrong.
    /// The last line of this level is the message of a trap without a panic.
    Error,
}

/// A line that a handler wrote, without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The level that the handler gave the line.
    pub level: Level,
    /// The text, in which control characters are escaped.
    pub message: String,
}

/// What one event's handler has written so far.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    kept: Vec<Line>,
    bytes: usize,
    left_out: usize,
    last_error: Option<String>,
    panic: Vec<u8>,
}

impl Lines {
    /// Takes a line. If the binding does not grant logging, the line may still be the reason of a trap.
    pub(crate) fn push(&mut self, level: Level, message: &str, granted: bool) {
        let message = printable(message, MAX_BYTES);
        if level == Level::Error {
            self.last_error = Some(message.clone());
        }
        if !granted {
            return;
        }
        if self.kept.len() == MAX_LINES || self.bytes + message.len() > MAX_BYTES {
            self.left_out += 1;
            return;
        }
        self.bytes += message.len();
        self.kept.push(Line { level, message });
    }

    /// Takes a part of a panic's reason: eight bytes in a number, the first byte lowest.
    pub(crate) fn push_panic(&mut self, words: [u64; 8]) {
        let room = MAX_PANIC_BYTES - self.panic.len();
        self.panic.extend(words.iter().flat_map(|word| word.to_le_bytes()).take(room));
    }

    /// Makes a line of the reason that was collected.
    pub(crate) fn end_panic(&mut self, granted: bool) {
        let said = std::mem::take(&mut self.panic);
        let said = String::from_utf8_lossy(&said);
        let said = said.trim_end_matches('\0');
        if !said.is_empty() {
            self.push(Level::Error, said, granted);
        }
    }

    /// The last line at [`Level::Error`], even if there was no room to keep it. It is the message of a panic.
    pub(crate) fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// All lines, and one more that says how many were left out, if any were.
    pub(crate) fn into_lines(mut self) -> Vec<Line> {
        if self.left_out > 0 {
            let message = format!("{} more lines were left out", self.left_out);
            self.kept.push(Line { level: Level::Warn, message });
        }
        self.kept
    }
}

impl From<wit::Level> for Level {
    fn from(level: wit::Level) -> Self {
        match level {
            wit::Level::Trace => Self::Trace,
            wit::Level::Debug => Self::Debug,
            wit::Level::Info => Self::Info,
            wit::Level::Warn => Self::Warn,
            wit::Level::Error => Self::Error,
        }
    }
}

/// Returns `text` with control characters escaped, cut to at most `most` bytes at a character's boundary. A
/// guest must not forge lines of a log or move a terminal's cursor.
pub(crate) fn printable(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len().min(most));
    for character in text.chars() {
        let start = out.len();
        if character.is_control() || is_direction(character) {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
        if out.len() > most {
            out.truncate(start);
            break;
        }
    }
    out
}

/// Characters that change the direction of text, and so what a reader sees.
fn is_direction(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_text_is_cut_at_characters() {
        assert_eq!(printable("a\nb\x1b[2J\u{202e}c", 99), "a\\u{a}b\\u{1b}[2J\\u{202e}c");
        assert_eq!(printable("aéé", 4), "aé");
        assert_eq!(printable("a\n", 3), "a");
    }

    #[test]
    fn lines_beyond_the_caps_are_counted() {
        let mut lines = Lines::default();
        for number in 0..40 {
            lines.push(Level::Info, &format!("line {number}"), true);
        }
        lines.push(Level::Error, "the end", true);
        assert_eq!(lines.last_error(), Some("the end"));
        let kept = lines.into_lines();
        assert_eq!(kept.len(), MAX_LINES + 1);
        assert_eq!(kept[MAX_LINES].message, "9 more lines were left out");

        let mut long = Lines::default();
        long.push(Level::Info, &"x".repeat(MAX_BYTES), true);
        long.push(Level::Info, "y", true);
        assert_eq!(long.into_lines().len(), 2);

        let mut ended = Lines::default();
        ended.push_panic([
            u64::from_le_bytes(*b"panicked"),
            u64::from_le_bytes(*b" at once"),
            0,
            0,
            0,
            0,
            0,
            0,
        ]);
        ended.end_panic(true);
        ended.end_panic(true);
        assert_eq!(ended.last_error(), Some("panicked at once"));
        assert_eq!(ended.kept.len(), 1);
        (0..100).for_each(|_| ended.push_panic([u64::MAX; 8]));
        assert_eq!(ended.panic.len(), MAX_PANIC_BYTES);

        let mut mute = Lines::default();
        mute.push(Level::Error, "the reason", false);
        assert_eq!((mute.last_error(), mute.kept.len()), (Some("the reason"), 0));
    }
}
