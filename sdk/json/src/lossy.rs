//! Replaces what Unicode has no characters for.

use std::borrow::Cow;

/// U+FFFD as JSON's escape has it.
const REPLACEMENT: &str = "\\ufffd";

/// Returns a text with U+FFFD in the place of bytes that are not UTF-8 and of escapes that are half of a
/// surrogate pair. A parser that refused the text for these alone takes the result. `None` if the text has
/// neither.
pub fn lossy(text: &[u8]) -> Option<String> {
    let utf8 = String::from_utf8_lossy(text);
    let paired = pair(&utf8);
    match (utf8, paired) {
        (_, Some(paired)) => Some(paired),
        (Cow::Owned(utf8), None) => Some(utf8),
        (Cow::Borrowed(_), None) => None,
    }
}

/// Replaces escapes without their other half; `None` if there are none.
fn pair(text: &str) -> Option<String> {
    let (mut out, mut copied, mut at) = (None::<String>, 0, 0);
    while let Some(found) = memchr::memchr(b'\\', &text.as_bytes()[at..]) {
        at += found;
        let width = match unit(text, at) {
            Some(0xd800..0xdc00) if matches!(unit(text, at + 6), Some(0xdc00..0xe000)) => 12,
            Some(0xd800..0xe000) => {
                let out = out.get_or_insert_default();
                out.push_str(&text[copied..at]);
                out.push_str(REPLACEMENT);
                copied = at + 6;
                6
            }
            Some(_) => 6,
            // What is escaped may be a backslash itself.
            None => 2,
        };
        at = (at + width).min(text.len());
    }
    out.map(|out| out + &text[copied..])
}

/// The UTF-16 unit that is escaped at `at`.
fn unit(text: &str, at: usize) -> Option<u16> {
    let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_replaced_and_whole_pairs_stay() {
        for (text, expected) in [
            (&br#"{"a":"\ud83d"}"#[..], Some(r#"{"a":"\ufffd"}"#)),
            (br#"["\uDE00x","\ud83d\ud83d\ude00","\ud83d\\ude00"]"#, {
                Some(r#"["\ufffdx","\ufffd\ud83d\ude00","\ufffd\\ude00"]"#)
            }),
            (b"\"caf\xe9\"", Some("\"caf\u{fffd}\"")),
            (br#"["\\ud83d","\ud83d\ude00","\u00e9"]"#, None),
            ("\"\\é\\".as_bytes(), None),
            (b"", None),
        ] {
            assert_eq!(lossy(text).as_deref(), expected, "{}", String::from_utf8_lossy(text));
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "(\\\\|u|d83d|de00|é|\"){0,12}") {
            let _ = lossy(text.as_bytes());
        }
    }
}
