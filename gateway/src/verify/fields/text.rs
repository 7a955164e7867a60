//! Reads a value as text.

/// Why a field has no value. It is a metric's label, so the set is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::verify) enum Unread {
    /// The value is missing or empty: `null` or an empty text.
    Missing,
    /// The body is not JSON, or breaks off before it.
    NotJson,
    /// The value is neither a text nor an integer of up to 64 bits. Most parsers read other numbers as
    /// floats, and two of them may be equal there.
    NotText,
    /// The text is invalid: half of a surrogate pair, bytes that are not UTF-8, or a line end in a string.
    Malformed,
    /// The value is longer than its kind may be.
    TooLong,
}

impl Unread {
    /// The name used in envelopes and metrics.
    pub(in crate::verify) const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::NotJson => "not_json",
            Self::NotText => "not_text",
            Self::Malformed => "malformed",
            Self::TooLong => "too_long",
        }
    }
}

/// Returns strings as they are, and integers in decimal.
pub(super) fn of_json(token: &[u8]) -> Result<String, Unread> {
    match token {
        [b'"', ..] => serde_json::from_slice(token).map_err(|_| Unread::Malformed).and_then(some),
        b"null" => Err(Unread::Missing),
        _ => integer(token).ok_or(Unread::NotText),
    }
}

/// Reads a header's value as UTF-8, which is common. HTTP itself only defines bytes.
pub(super) fn of_header(value: &[u8]) -> Result<String, Unread> {
    std::str::from_utf8(value).map_err(|_| Unread::Malformed).map(str::to_owned).and_then(some)
}

fn some(text: String) -> Result<String, Unread> {
    if text.is_empty() { Err(Unread::Missing) } else { Ok(text) }
}

fn integer(token: &[u8]) -> Option<String> {
    let number: serde_json::Number = serde_json::from_slice(token).ok()?;
    number.as_u64().map(|n| n.to_string()).or_else(|| number.as_i64().map(|n| n.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_texts_and_exact_integers_count() {
        assert_eq!(of_json(br#""a\u00e9\ud83d\ude00""#).as_deref(), Ok("aé😀"));
        assert_eq!(of_json(b"-7").as_deref(), Ok("-7"));
        assert_eq!(of_json(b"18446744073709551615").as_deref(), Ok("18446744073709551615"));
        for other in
            [&b"true"[..], b"{}", b"[\"x\"]", b"1.5", b"123456789012345678901", b"NaN", b"01", b"1.0"]
        {
            assert_eq!(of_json(other), Err(Unread::NotText), "{}", String::from_utf8_lossy(other));
        }
        for odd in [&b"\"\\ud83d\""[..], b"\"caf\xe9\"", b"\"a\nb\"", b"\"\\x\""] {
            assert_eq!(of_json(odd), Err(Unread::Malformed), "{}", String::from_utf8_lossy(odd));
        }
        assert_eq!((of_json(b"null"), of_json(b"\"\"")), (Err(Unread::Missing), Err(Unread::Missing)));
    }

    #[test]
    fn headers_are_utf_8() {
        assert_eq!(of_header("café".as_bytes()).as_deref(), Ok("café"));
        assert_eq!((of_header(b"caf\xe9"), of_header(b"")), (Err(Unread::Malformed), Err(Unread::Missing)));
    }
}
