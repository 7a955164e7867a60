//! Text that must not be seen.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

/// A secret in clear. It prints as `[secret]`, is wiped when dropped, and is only read through
/// [`Secret::expose`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(utoipa::ToSchema),
    schema(
        min_length = 1,
        max_length = 1024,
        pattern = r"^\S(.*\S)?$",
        description = "A key. Without white space at its ends, and without line ends, a NUL, a byte order mark or the like anywhere. It is never shown."
    )
)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret without checking it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Reads the secret that a file or an environment variable holds.
    ///
    /// Editors and shells put a line end behind it, which is taken off. Any other white space at its ends,
    /// and anything inside it that cannot be seen, is refused: such a secret differs from what the other side
    /// was given, and nothing but a failed signature or login would tell.
    ///
    /// # Errors
    /// If the text is empty, or has white space or an invisible character where none may be. The error names
    /// that character and its place, and nothing else of the secret.
    pub fn from_line(bytes: Vec<u8>) -> Result<Self, Unfit> {
        let bytes = Zeroizing::new(bytes);
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            return Err(Unfit::Utf16);
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| Unfit::NotText)?;
        let secret = Self::new(text.trim_end_matches(['\r', '\n']));
        secret.check()?;
        Ok(secret)
    }

    /// As [`Self::from_line`] for a token, which is sent in a header.
    ///
    /// # Errors
    /// As [`Self::from_line`]; also for what does not go into an `Authorization` header.
    pub fn token_from_line(bytes: Vec<u8>) -> Result<Self, Unfit> {
        let token = Self::from_line(bytes)?;
        let is_sendable = token.0.bytes().all(|byte| byte.is_ascii_graphic());
        if is_sendable { Ok(token) } else { Err(Unfit::NotAToken) }
    }

    /// Checks a secret that arrived as text by the rules of [`Self::from_line`]. Removes nothing from it.
    ///
    /// # Errors
    /// As [`Self::from_line`].
    pub fn check(&self) -> Result<(), Unfit> {
        let (Some(first), Some(last)) = (self.0.chars().next(), self.0.chars().next_back()) else {
            return Err(Unfit::Empty);
        };
        if first == ' ' || is_unseen(first) {
            return Err(Unfit::Begins(first));
        }
        if last == ' ' || is_unseen(last) {
            return Err(Unfit::Ends(last));
        }
        self.0
            .chars()
            .find(|&character| is_unseen(character))
            .map_or(Ok(()), |found| Err(Unfit::Holds(found)))
    }

    /// Returns the secret in clear. Look at each caller in a review.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// White space other than a plain space, which may stand inside a passphrase; control characters; and
/// characters without a width of their own, which come along when text is copied from a page.
fn is_unseen(character: char) -> bool {
    let has_no_width = matches!(
        character,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    );
    has_no_width || character.is_control() || (character.is_whitespace() && character != ' ')
}

/// Why a text is not taken for a secret. Names one character that cannot be seen, and nothing else of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is empty, or was nothing but line ends.
    #[error("the secret is empty")]
    Empty,
    /// It is not UTF-8.
    #[error("the secret is not text in UTF-8")]
    NotText,
    /// It is UTF-16, which some editors call Unicode.
    #[error("the secret is text in UTF-16: save it as UTF-8, without a byte order mark")]
    Utf16,
    /// It begins with this character, which is white space or invisible.
    #[error("the secret begins with {}: take it out", name(*.0))]
    Begins(char),
    /// It ends with this character, which is white space or invisible; line ends are removed before.
    #[error("the secret ends with {}: take it out", name(*.0))]
    Ends(char),
    /// It contains this character, which is invisible.
    #[error("the secret has {} in it: take it out", name(*.0))]
    Holds(char),
    /// It is a token with a character that does not go into an `Authorization` header.
    #[error(
        "the token has a character other than letters, digits and signs of ASCII in it: make another one"
    )]
    NotAToken,
}

fn name(character: char) -> String {
    let what = match character {
        ' ' => "a space",
        '\t' => "a tab",
        '\n' => "a line feed",
        '\r' => "a carriage return",
        '\0' => "a NUL",
        '\u{a0}' => "a no-break space",
        '\u{feff}' => "a byte order mark",
        _ if character.is_whitespace() => "white space",
        _ if character.is_control() => "a control character",
        _ => "a character without width",
    };
    format!("{what} (U+{:04X})", u32::from(character))
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Secret::from_line(text.into()).unwrap_err().to_string()
    }

    #[test]
    fn line_ends_are_taken_off() {
        for text in ["s3cret", "s3cret\n", "s3cret\r\n", "s3cret\n\n", "s3cret\r"] {
            assert_eq!(Secret::from_line(text.into()).unwrap().expose(), "s3cret", "{text:?}");
        }
        let phrase = Secret::from_line("correct horse, größer\n".into()).unwrap();
        assert_eq!(phrase.expose(), "correct horse, größer", "a phrase has spaces inside");
    }

    #[test]
    fn other_white_space_is_refused_by_name() {
        for (text, message) in [
            ("s3cret ", "the secret ends with a space (U+0020): take it out"),
            ("s3cret \n", "the secret ends with a space (U+0020): take it out"),
            ("s3cret\n ", "the secret ends with a space (U+0020): take it out"),
            ("s3cret\t\r\n", "the secret ends with a tab (U+0009): take it out"),
            ("s3cret\u{a0}", "the secret ends with a no-break space (U+00A0): take it out"),
            ("s3cret\u{3000}", "the secret ends with white space (U+3000): take it out"),
            (" s3cret", "the secret begins with a space (U+0020): take it out"),
            ("\ns3cret", "the secret begins with a line feed (U+000A): take it out"),
            ("\u{feff}s3cret\n", "the secret begins with a byte order mark (U+FEFF): take it out"),
            ("s3c\nret", "the secret has a line feed (U+000A) in it: take it out"),
            ("s3c\0ret", "the secret has a NUL (U+0000) in it: take it out"),
            ("s3cret\0", "the secret ends with a NUL (U+0000): take it out"),
            ("s3c\u{200b}ret", "the secret has a character without width (U+200B) in it: take it out"),
            ("s3c\u{1b}ret", "the secret has a control character (U+001B) in it: take it out"),
        ] {
            assert_eq!(refused(text), message, "{text:?}");
        }
    }

    #[test]
    fn what_is_empty_or_no_text_is_refused() {
        for text in ["", "\n", "\r\n\r\n"] {
            assert_eq!(Secret::from_line(text.into()), Err(Unfit::Empty), "{text:?}");
        }
        assert_eq!(Secret::from_line(vec![b's', 0xff]), Err(Unfit::NotText));
        assert_eq!(Secret::from_line(b"\xff\xfes\0\n\0".to_vec()), Err(Unfit::Utf16));
    }

    #[test]
    fn a_token_goes_into_a_header() {
        assert_eq!(Secret::token_from_line(b"0123abc-_.~+/=\n".to_vec()).unwrap().expose(), "0123abc-_.~+/=");
        for text in ["two words", "größer"] {
            assert_eq!(Secret::token_from_line(text.into()), Err(Unfit::NotAToken), "{text:?}");
        }
    }
}
